-- relation: core.telemetry_part
-- grain:    one device, session (null: idle) and UTC day, of the frames that are still kept one by one
-- inputs:   raw.telemetry_frame, core.voided
-- time:     a frame belongs to the UTC day of occurred_at, its first sample; withdrawn and replaced frames are out

CREATE OR REPLACE VIEW core.telemetry_part AS
SELECT
  frame.clinic_id,
  frame.device_id,
  frame.session_id,
  (frame.occurred_at AT TIME ZONE 'UTC')::DATE AS day,
  count(*) AS frames,
  sum(len(frame.depth_mm))::BIGINT AS samples,
  sum(len(frame.depth_mm) * frame.sample_interval_ms)::BIGINT AS sampled_ms,
  min(frame.occurred_at) AS first_frame_at,
  max(frame.occurred_at) AS last_frame_at,
  min(frame.sequence) AS first_sequence,
  max(frame.sequence) AS last_sequence,
  sum(list_sum(frame.depth_mm::DOUBLE[])) AS depth_mm_sum,
  sum(list_inner_product(frame.depth_mm::DOUBLE[], frame.depth_mm::DOUBLE[])) AS depth_mm_sum_of_squares,
  min(list_min(frame.depth_mm))::DOUBLE AS depth_mm_min,
  max(list_max(frame.depth_mm))::DOUBLE AS depth_mm_max,
  sum(list_sum(frame.stroke_rate_per_min::DOUBLE[])) AS stroke_rate_per_min_sum,
  sum(list_inner_product(frame.stroke_rate_per_min::DOUBLE[], frame.stroke_rate_per_min::DOUBLE[]))
    AS stroke_rate_per_min_sum_of_squares,
  min(list_min(frame.stroke_rate_per_min))::DOUBLE AS stroke_rate_per_min_min,
  max(list_max(frame.stroke_rate_per_min))::DOUBLE AS stroke_rate_per_min_max,
  sum(list_sum(frame.motor_current_ma::DOUBLE[])) AS motor_current_ma_sum,
  max(list_max(frame.motor_current_ma))::DOUBLE AS motor_current_ma_max,
  min(frame.battery_percent)::DOUBLE AS battery_percent_min
FROM raw.telemetry_frame AS frame
WHERE NOT EXISTS (FROM core.voided WHERE voided.source = frame.source AND voided.voided_id = frame.id)
  AND NOT EXISTS (
    FROM raw.telemetry_frame AS correction
    WHERE correction.source = frame.source
      AND correction.supersedes = frame.id
      AND correction.supersedes <> correction.id
  )
GROUP BY ALL;

COMMENT ON VIEW core.telemetry_part IS 'Grain: one device, session (null: idle) and UTC day of kept telemetry. Sums and sums of squares are over samples, so parts add up: mean = sum / samples. Depth in mm, stroke rate per minute, motor current in mA, sampled_ms is time covered by samples.';
