-- RELATION loses its rows about sessions of the person.
DELETE FROM RELATION
WHERE (clinic_id, session_id) IN (SELECT clinic_id, session_id FROM person_session)
