-- temp.person_event. Grain: one event of RELATION that names the person.
INSERT INTO person_event SELECT $relation, source, id, batch_id FROM RELATION WHERE patient_key = $patient_key
