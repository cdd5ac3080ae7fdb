-- Grain: one row of RELATION about a session of the person.
SELECT * FROM RELATION
WHERE (clinic_id, session_id) IN (SELECT clinic_id, session_id FROM person_session)
ORDER BY ALL
