-- temp.person_event. Grain: one event of RELATION that names a session of the person, but no patient.
INSERT INTO person_event
SELECT $relation, source, id, batch_id FROM RELATION
WHERE (clinic_id, session_id) IN (SELECT clinic_id, session_id FROM person_session)
