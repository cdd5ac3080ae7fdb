-- temp.person_session. Grain: one session that RELATION states for the person.
INSERT INTO person_session
SELECT DISTINCT clinic_id, session_id FROM RELATION WHERE patient_key = $patient_key AND session_id IS NOT NULL
