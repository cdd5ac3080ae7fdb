-- relation: what the device measured during one session
-- grain:    one time slice; there are at most $most
-- inputs:   raw.telemetry_frame, core.voided; $clinic, $session, $device: which; $people: as in dashboard/session; $begun, $ended: the session's time, an
--           hour either way is read; $every_clinic, $clinic_ids: the reader's scope
-- time:     frames as landed, withdrawn ones left out; a slice holds whole samples, mean, lowest and highest. Depth in
--           mm, stroke rate per minute; seconds since the first sample. Empty where retention removed the frames
WITH frame AS (
  SELECT occurred_at, sample_interval_ms, depth_mm, stroke_rate_per_min
  FROM raw.telemetry_frame AS fact
  WHERE $people AND clinic_id = $clinic AND device_id = $device AND session_id = $session
    AND occurred_at >= $begun::TIMESTAMPTZ - INTERVAL 1 HOUR AND occurred_at < $ended::TIMESTAMPTZ + INTERVAL 1 HOUR
    AND ($every_clinic OR list_contains($clinic_ids, clinic_id))
    AND NOT EXISTS (FROM core.voided WHERE voided.source = fact.source AND voided.voided_id = fact.id)
),
sample AS (
  SELECT
    occurred_at + to_milliseconds(sample_interval_ms * (generate_subscripts(depth_mm, 1) - 1)) AS moment,
    unnest(depth_mm) AS depth_mm,
    unnest(stroke_rate_per_min) AS stroke_rate_per_min
  FROM frame
),
timed AS (
  SELECT
    *,
    epoch_ms(moment) - min(epoch_ms(moment)) OVER () AS ms,
    max(epoch_ms(moment)) OVER () - min(epoch_ms(moment)) OVER () AS whole
  FROM sample
)
SELECT
  min(ms) / 1000.0 AS seconds,
  avg(depth_mm) AS depth_mm, min(depth_mm) AS depth_mm_min, max(depth_mm) AS depth_mm_max,
  avg(stroke_rate_per_min) AS stroke_rate_per_min,
  min(stroke_rate_per_min) AS stroke_rate_per_min_min, max(stroke_rate_per_min) AS stroke_rate_per_min_max,
  count(*) AS samples
FROM timed
GROUP BY (ms * $most) // (whole + 1)
ORDER BY seconds
