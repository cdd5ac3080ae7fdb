-- relation: core.telemetry_summary
-- grain:    one session on one device, whether its frames are still kept or were rolled up
-- inputs:   core.telemetry_part (kept frames), core.telemetry_rollup (frames that retention has removed)
-- time:     all time; retention changes no value here

CREATE OR REPLACE VIEW core.telemetry_summary AS
WITH part AS (
  FROM core.telemetry_part
  UNION ALL BY NAME
  FROM core.telemetry_rollup
)
SELECT
  clinic_id,
  device_id,
  session_id,
  sum(frames)::BIGINT AS frames,
  sum(samples)::BIGINT AS samples,
  sum(sampled_ms) / 1000 AS sampled_seconds,
  min(first_frame_at) AS first_frame_at,
  max(last_frame_at) AS last_frame_at,
  -- Frames of a device count up by one; what is missing between first and last was lost on the way.
  (max(last_sequence) - min(first_sequence) + 1 - sum(frames))::BIGINT AS frames_missing,
  sum(depth_mm_sum) / sum(samples) AS depth_mm_mean,
  sqrt(greatest(0, sum(depth_mm_sum_of_squares) / sum(samples) - pow(sum(depth_mm_sum) / sum(samples), 2)))
    AS depth_mm_deviation,
  min(depth_mm_min) AS depth_mm_min,
  max(depth_mm_max) AS depth_mm_max,
  sum(stroke_rate_per_min_sum) / sum(samples) AS stroke_rate_per_min_mean,
  sqrt(greatest(0, sum(stroke_rate_per_min_sum_of_squares) / sum(samples)
    - pow(sum(stroke_rate_per_min_sum) / sum(samples), 2))) AS stroke_rate_per_min_deviation,
  min(stroke_rate_per_min_min) AS stroke_rate_per_min_min,
  max(stroke_rate_per_min_max) AS stroke_rate_per_min_max,
  sum(motor_current_ma_sum) / sum(samples) AS motor_current_ma_mean,
  max(motor_current_ma_max) AS motor_current_ma_max,
  min(battery_percent_min) AS battery_percent_min
FROM part
WHERE session_id IS NOT NULL
GROUP BY clinic_id, device_id, session_id;

COMMENT ON VIEW core.telemetry_summary IS 'Grain: one session on one device. Means and population deviations over samples; depth in mm, stroke rate per minute, motor current in mA, battery in percent. The same before and after retention removed the frames.';
