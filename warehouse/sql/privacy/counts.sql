-- Grain: one relation that held events about the person.
SELECT relation, count(*) AS events FROM person_event GROUP BY relation ORDER BY relation
