-- temp.person_session loses sessions that RELATION states for somebody else as well: entered for the wrong
-- patient first, perhaps. What is known of such a session by its own id stays with the other person.
DELETE FROM person_session
WHERE (clinic_id, session_id) IN (
  SELECT clinic_id, session_id FROM RELATION WHERE patient_key <> $patient_key
)
