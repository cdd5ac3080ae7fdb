-- relation: core.data_quality
-- grain:    one check and the subject that fails it
-- inputs:   core.session, device, operator, protocol, clinic, calibration, reported_sign, assessment, follow_up,
--           telemetry_summary, raw.session_started
-- time:     latest truth: a row goes away by itself once the missing event has landed, or the wrong one is mended

CREATE OR REPLACE VIEW core.data_quality AS
WITH problem AS (
  SELECT 'session.unknown-device' AS check_id, fact.clinic_id, fact.device_id AS subject_id, fact.occurred_at
  FROM core.session AS fact
  ANTI JOIN core.device AS known
    ON known.clinic_id = fact.clinic_id AND known.device_id = fact.device_id
  UNION ALL
  SELECT 'session.unknown-operator' AS check_id, fact.clinic_id, fact.operator_id AS subject_id, fact.occurred_at
  FROM core.session AS fact
  ANTI JOIN core.operator AS known
    ON known.clinic_id = fact.clinic_id AND known.operator_id = fact.operator_id
  WHERE fact.operator_id IS NOT NULL
  UNION ALL
  SELECT 'session.unknown-protocol' AS check_id, fact.clinic_id,
    concat(fact.protocol_id, ' v', fact.protocol_version) AS subject_id, fact.occurred_at
  FROM core.session AS fact
  ANTI JOIN core.protocol AS known
    ON known.protocol_id = fact.protocol_id AND known.version = fact.protocol_version
  UNION ALL
  SELECT 'session.closed-before-started' AS check_id, fact.clinic_id, fact.session_id AS subject_id,
    fact.occurred_at
  FROM core.session AS fact
  JOIN raw.session_started AS begun
    ON begun.clinic_id = fact.clinic_id AND begun.session_id = fact.session_id
  WHERE begun.occurred_at > fact.completed_at
  UNION ALL
  SELECT 'telemetry.no-session' AS check_id, fact.clinic_id, fact.session_id AS subject_id,
    fact.first_frame_at AS occurred_at
  FROM core.telemetry_summary AS fact
  ANTI JOIN core.session AS known
    ON known.clinic_id = fact.clinic_id AND known.session_id = fact.session_id
  UNION ALL
  SELECT 'calibration.unknown-device' AS check_id, fact.clinic_id, fact.device_id AS subject_id, fact.occurred_at
  FROM core.calibration AS fact
  ANTI JOIN core.device AS known
    ON known.clinic_id = fact.clinic_id AND known.device_id = fact.device_id
  UNION ALL
  SELECT 'adverse-event.unknown-session' AS check_id, fact.clinic_id, fact.session_id AS subject_id, fact.occurred_at
  FROM core.reported_sign AS fact
  ANTI JOIN core.session AS known
    ON known.clinic_id = fact.clinic_id AND known.session_id = fact.session_id
  WHERE fact.session_id IS NOT NULL
  UNION ALL
  SELECT 'assessment.unknown-session' AS check_id, fact.clinic_id, fact.session_id AS subject_id, fact.occurred_at
  FROM core.assessment AS fact
  ANTI JOIN core.session AS known
    ON known.clinic_id = fact.clinic_id AND known.session_id = fact.session_id
  WHERE fact.session_id IS NOT NULL
  UNION ALL
  SELECT 'follow-up.unknown-session' AS check_id, fact.clinic_id, fact.session_id AS subject_id, fact.occurred_at
  FROM core.follow_up AS fact
  ANTI JOIN core.session AS known
    ON known.clinic_id = fact.clinic_id AND known.session_id = fact.session_id
  WHERE fact.session_id IS NOT NULL
  UNION ALL
  SELECT 'clinic.not-registered' AS check_id, fact.clinic_id, fact.clinic_id AS subject_id, fact.occurred_at
  FROM core.session AS fact
  ANTI JOIN core.clinic AS known USING (clinic_id)
)
SELECT
  check_id,
  clinic_id,
  subject_id,
  count(*) AS events,
  min(occurred_at) AS first_occurred_at,
  max(occurred_at) AS last_occurred_at
FROM problem
GROUP BY check_id, clinic_id, subject_id;

COMMENT ON VIEW core.data_quality IS 'Grain: one check and the subject (a device, operator, protocol, session or clinic) that fails it. Events land all the same; a row clears itself when the missing event arrives. Telemetry comes before its session is completed, so telemetry.no-session means something only after a day.';
