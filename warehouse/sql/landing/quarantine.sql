-- landing.quarantine. Grain: one refused event, kept whole with reason and origin.
INSERT INTO landing.quarantine BY NAME
SELECT
  parts.topic, parts."partition", refused."offset", refused.received_at, refused.key, refused.value,
  refused.headers, refused.rule, refused.path, refused.detail,
  $codec_version AS codec_version, $batch_id AS batch_id, $landed_at AS landed_at
FROM refused JOIN parts USING (part)
