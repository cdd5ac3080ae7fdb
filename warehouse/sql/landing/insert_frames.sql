-- raw.telemetry_frame. Grain: one canonical frame, not seen before, its columns read already.
INSERT INTO raw.telemetry_frame BY NAME
SELECT
  source, id, clinic_id, occurred_at, received_at, $landed_at AS landed_at, $batch_id AS batch_id,
  content_hash, device_id, sequence, sample_interval_ms, depth_mm, stroke_rate_per_min, motor_current_ma,
  battery_percent, session_id, temperature_celsius
FROM frames ANTI JOIN unwanted USING (part, "offset")
