-- rows for: maintenance_on_time
-- grain:    one scope (network, clinic), also those without patients
-- inputs:   temp.session_outcome, temp.scope
-- time:     per patient, the first maintenance window that was decided in [$start, $as_of): by returning, or by the
--           end of its last day. Not yet due is not counted. Days are differences of UTC dates.

WITH due AS (
  SELECT
    clinic_id,
    patient_key,
    session_id,
    completed_at,
    coalesce(next_phase = 'maintenance' AND days_to_next BETWEEN 90 AND 183, false) AS on_time,
    least(next_completed_at, to_timestamp(epoch(completed_on + 184))) AS decided_at
  FROM temp.session_outcome
  -- A clinic that goes on to maintenance calls the series complete, however short it was.
  WHERE completed_at >= $start - to_days(185)  -- a window is decided by then, so that older ones cannot matter
    AND (series_completed OR (next_phase = 'maintenance' AND next_completed_at < $as_of))
),
decided AS (
  SELECT clinic_id, on_time
  FROM due
  WHERE decided_at >= $start AND decided_at < $as_of
  -- One per patient, so that patients stay independent. Not the newest: lapsing ends the row of windows, so
  -- that the newest is a lapse far more often than a window is.
  QUALIFY row_number() OVER (PARTITION BY clinic_id, patient_key ORDER BY completed_at, session_id) = 1
),
counted AS (
  SELECT
    CASE WHEN grouping(clinic_id) = 0 THEN 'clinic' ELSE 'network' END AS scope,
    coalesce(clinic_id, 'network') AS scope_id,
    count(*) AS patients_decided,
    count(*) FILTER (on_time) AS patients_on_time
  FROM decided
  GROUP BY GROUPING SETS ((), (clinic_id))
)
SELECT
  scope,
  scope_id,
  'year' AS period,
  $start AS interval_start,
  $as_of AS interval_end,
  coalesce(patients_decided, 0) AS patients_decided,
  coalesce(patients_on_time, 0) AS patients_on_time
FROM temp.scope
LEFT JOIN counted USING (scope, scope_id)
WHERE scope <> 'protocol'
ORDER BY ALL
