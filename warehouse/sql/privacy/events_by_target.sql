-- temp.person_event. Grain: one event of RELATION that withdraws an event about the person.
INSERT INTO person_event
SELECT $relation, source, id, batch_id FROM RELATION
WHERE (source, voided_id) IN (SELECT source, id FROM person_event)
