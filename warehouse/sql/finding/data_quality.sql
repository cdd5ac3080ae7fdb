-- rows for: mart.data_quality
-- grain:    one check and clinic with a finding, and one row of each check, clinic_id null, for all clinics
-- inputs:   temp.session_outcome, core.device, operator, protocol, clinic, calibration, voided, raw.session_started,
--           raw.adverse_event_reported, raw.adverse_event_updated, raw.assessment_recorded, raw.follow_up_completed
-- time:     latest truth, as core.data_quality, which is the definition; a session belongs to its completed_at.
--           Only outcomes that name an unknown session are looked at closely; names are compared by 64-bit hash: with
--           5 million sessions one finding in 3e12 is missed

WITH stated AS (
  SELECT 'adverse-event.unknown-session' AS check_id, clinic_id, source, id, supersedes, adverse_event_id AS thing,
    session_id, occurred_at, received_at, false AS is_update
  FROM raw.adverse_event_reported
  UNION ALL
  SELECT 'adverse-event.unknown-session', clinic_id, source, id, supersedes, adverse_event_id, session_id, occurred_at,
    received_at, true
  FROM raw.adverse_event_updated
  UNION ALL
  SELECT 'assessment.unknown-session', clinic_id, source, id, supersedes, assessment_id, session_id, occurred_at,
    received_at, false
  FROM raw.assessment_recorded
  UNION ALL
  SELECT 'follow-up.unknown-session', clinic_id, source, id, supersedes, follow_up_id, session_id, occurred_at,
    received_at, false
  FROM raw.follow_up_completed
),
suspect AS MATERIALIZED (
  SELECT DISTINCT hash(check_id, clinic_id, thing) AS thing
  FROM stated
  WHERE session_id IS NOT NULL
    AND hash(clinic_id, session_id) NOT IN (SELECT hash(clinic_id, session_id) FROM temp.session_outcome)
),
about AS MATERIALIZED (
  SELECT hash(source, id) AS name FROM stated WHERE hash(check_id, clinic_id, thing) IN (FROM suspect)
),
standing AS MATERIALIZED (
  FROM stated AS fact
  WHERE (
      hash(check_id, clinic_id, thing) IN (FROM suspect)
      OR (supersedes IS NOT NULL AND hash(source, supersedes) IN (FROM about))
    )
    AND NOT EXISTS (FROM core.voided WHERE voided.source = fact.source AND voided.voided_id = fact.id)
),
current AS (
  FROM standing AS fact
  WHERE NOT EXISTS (
    FROM standing AS correction
    WHERE correction.source = fact.source
      AND correction.supersedes = fact.id
      AND correction.supersedes <> correction.id
  )
),
latest AS (
  SELECT check_id, clinic_id, thing, session_id,
    max(occurred_at) FILTER (NOT is_update) OVER same AS occurred_at
  FROM current
  WHERE hash(check_id, clinic_id, thing) IN (FROM suspect)
  WINDOW same AS (PARTITION BY check_id, clinic_id, thing)
  QUALIFY row_number() OVER (
    PARTITION BY check_id, clinic_id, thing
    ORDER BY current.occurred_at DESC, received_at DESC, is_update DESC, id DESC, source DESC
  ) = 1
),
outcome_without_session AS (
  SELECT check_id, clinic_id, session_id, occurred_at
  FROM latest
  -- An update whose report is withdrawn, or has not landed, says nothing.
  WHERE occurred_at IS NOT NULL AND session_id IS NOT NULL
    AND hash(clinic_id, session_id) NOT IN (SELECT hash(clinic_id, session_id) FROM temp.session_outcome)
),
counted AS MATERIALIZED (
  SELECT clinic_id, device_id, operator_id, protocol_id, protocol_version, count(*) AS events,
    min(completed_at) AS first_at, max(completed_at) AS last_at
  FROM temp.session_outcome
  GROUP BY ALL
),
problem AS (
  SELECT 'session.unknown-device' AS check_id, clinic_id, device_id AS subject_id, events, first_at, last_at
  FROM counted
  ANTI JOIN core.device USING (clinic_id, device_id)
  UNION ALL
  SELECT 'session.unknown-operator', clinic_id, operator_id, events, first_at, last_at
  FROM counted
  ANTI JOIN core.operator USING (clinic_id, operator_id)
  WHERE operator_id IS NOT NULL
  UNION ALL
  SELECT 'session.unknown-protocol', clinic_id, concat(protocol_id, ' v', protocol_version), events, first_at, last_at
  FROM counted
  ANTI JOIN core.protocol
    ON protocol.protocol_id = counted.protocol_id AND protocol.version = counted.protocol_version
  UNION ALL
  SELECT 'clinic.not-registered', clinic_id, clinic_id, events, first_at, last_at
  FROM counted
  ANTI JOIN core.clinic USING (clinic_id)
  UNION ALL
  SELECT 'session.closed-before-started', session.clinic_id, session.session_id, 1, session.completed_at,
    session.completed_at
  FROM temp.session_outcome AS session
  JOIN raw.session_started AS begun USING (clinic_id, session_id)
  WHERE begun.occurred_at > session.completed_at
  UNION ALL
  SELECT 'calibration.unknown-device', clinic_id, device_id, 1, occurred_at, occurred_at
  FROM core.calibration
  ANTI JOIN core.device USING (clinic_id, device_id)
  UNION ALL
  SELECT check_id, clinic_id, session_id, 1, occurred_at, occurred_at
  FROM outcome_without_session
),
checked AS (
  SELECT unnest([
    'session.unknown-device', 'session.unknown-operator', 'session.unknown-protocol',
    'session.closed-before-started', 'calibration.unknown-device', 'adverse-event.unknown-session',
    'assessment.unknown-session', 'follow-up.unknown-session', 'clinic.not-registered'
  ]) AS check_id
),
found AS (
  SELECT check_id, clinic_id, count(DISTINCT (clinic_id, subject_id)) AS subjects, sum(events)::BIGINT AS events,
    min(first_at) AS first_occurred_at, max(last_at) AS last_occurred_at
  FROM problem
  GROUP BY GROUPING SETS ((check_id), (check_id, clinic_id))
)
SELECT check_id, found.clinic_id, coalesce(found.subjects, 0) AS subjects, coalesce(found.events, 0) AS events,
  found.first_occurred_at, found.last_occurred_at
FROM checked
LEFT JOIN found USING (check_id)
ORDER BY ALL
