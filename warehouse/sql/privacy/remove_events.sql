-- RELATION loses the events about the person.
DELETE FROM RELATION WHERE (source, id) IN (SELECT source, id FROM person_event WHERE relation = $relation)
