-- relation: core.adverse_event
-- grain:    one sign of a clinic: each that was reported, and each stated as expected that the rule does not expect
-- inputs:   core.reported_sign, core.resolution, core.observed_reaction, core.session,
--           core.expected_reaction_rule (newest version)
-- time:     latest truth; a reader with an as_of takes the sign as unresolved until then, and as expected while
--           least(coalesce(resolved_at, as_of), as_of) < expected_until_at

CREATE OR REPLACE VIEW core.adverse_event AS
WITH rule AS (
  FROM core.expected_reaction_rule
  WHERE rule_version = (SELECT max(rule_version) FROM core.expected_reaction_rule)
),
stated AS (
  SELECT reported.*, resolution.resolved_at, false AS said_to_be_expected
  FROM core.reported_sign AS reported
  -- A sign cannot be gone before it began: such a resolution is a contradiction and is not used.
  LEFT JOIN core.resolution AS resolution
    ON resolution.clinic_id = reported.clinic_id
    AND resolution.adverse_event_id = reported.adverse_event_id
    AND resolution.resolved_at >= reported.onset_at
  UNION ALL BY NAME
  SELECT
    observed.clinic_id,
    observed.reaction_id AS adverse_event_id,
    observed.session_id,
    observed.patient_key,
    observed.sign AS term,
    1 AS grade,
    false AS serious,
    'definite' AS relatedness,
    observed.onset_at,
    observed.occurred_at AS became_aware_at,
    observed.occurred_at,
    observed.resolved_at,
    true AS said_to_be_expected
  FROM core.observed_reaction AS observed
  ANTI JOIN core.reported_sign AS reported
    ON reported.clinic_id = observed.clinic_id AND reported.adverse_event_id = observed.reaction_id
),
ruled AS (
  SELECT
    reported.*,
    rule.review_after_hours,
    rule.expected_within_hours
  FROM stated AS reported
  LEFT JOIN core.session AS session
    ON session.clinic_id = reported.clinic_id AND session.session_id = reported.session_id
  LEFT JOIN rule
    ON rule.term = reported.term
    AND reported.grade <= rule.max_grade
    AND NOT reported.serious
    -- Until its session has landed, the sign is taken to have begun in time.
    AND reported.onset_at
      < coalesce(session.completed_at, reported.onset_at) + to_hours(rule.onset_within_hours)
)
SELECT
  clinic_id,
  adverse_event_id,
  session_id,
  patient_key,
  term,
  grade,
  serious,
  relatedness,
  onset_at,
  became_aware_at,
  resolved_at,  -- null while not resolved
  (epoch_us(resolved_at) - epoch_us(onset_at)) / 86400e6 AS days_to_resolution,  -- days since onset
  (SELECT max(rule_version) FROM core.expected_reaction_rule) AS rule_version,
  onset_at + to_hours(review_after_hours) AS review_at,  -- null where the rule never expects it
  onset_at + to_hours(expected_within_hours) AS expected_until_at,  -- null where the rule never expects it
  CASE
    WHEN expected_within_hours IS NULL THEN false
    WHEN resolved_at IS NULL THEN NULL
    ELSE resolved_at < onset_at + to_hours(expected_within_hours)
  END AS expected,  -- null while not resolved: then it depends on the reader's as_of
  CASE
    WHEN expected_within_hours IS NULL THEN occurred_at
    WHEN coalesce(resolved_at >= onset_at + to_hours(expected_within_hours), true)
      THEN greatest(occurred_at, onset_at + to_hours(expected_within_hours) - to_microseconds(1))
  END AS counts_from_at,  -- null: an expected reaction; else an adverse event for every as_of after it
  occurred_at
FROM ruled
-- What was said to be expected is an adverse event only once it is known to be none: begun or gone too late.
WHERE NOT said_to_be_expected
  OR expected_within_hours IS NULL
  OR resolved_at >= onset_at + to_hours(expected_within_hours);

COMMENT ON VIEW core.adverse_event IS 'Grain: one sign reported, or stated as expected and by the rule not, updates and corrections applied, with its end and whether it was an expected transient reaction: listed term, grade 1, not serious, begun within 7 days of the session, gone within 7 days. expected is null while unresolved: compare expected_until_at with your as_of, or take counts_from_at: it is an adverse event for every as_of after that, and never one where that is null.';
