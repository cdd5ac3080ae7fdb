-- Grain: one session of the person, or one event about the person that is named by no session.
SELECT 'session' AS kind, clinic_id AS first, session_id AS second FROM person_session
UNION ALL
SELECT 'event', source, id FROM person_event WHERE relation <> 'raw.telemetry_frame'
