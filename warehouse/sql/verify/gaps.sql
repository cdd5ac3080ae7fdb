-- Grain: one ledger row that does not begin where the one before it ended: offsets lost, or landed twice.
SELECT format('{}/{}: a batch ends at offset {}, the next begins at {}', topic, "partition", previous, first_offset)
  AS detail
FROM (
  SELECT topic, "partition", first_offset, next_offset,
    lag(next_offset) OVER (PARTITION BY topic, "partition", former_topic_id ORDER BY first_offset, next_offset) AS previous
  FROM landing.batch
)
WHERE previous <> first_offset
ORDER BY detail
