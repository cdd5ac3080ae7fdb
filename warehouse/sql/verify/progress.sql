-- Grain: one topic-partition whose progress is not where its ledger ends.
SELECT format('{}/{}: progress is at offset {}, the ledger ends at {}', topic, "partition",
  coalesce(progress.next_offset::VARCHAR, 'none'), ledger.next_offset) AS detail
FROM (
  SELECT topic, "partition", max(next_offset) AS next_offset
  FROM landing.batch
  WHERE former_topic_id IS NULL
  GROUP BY ALL
) AS ledger
LEFT JOIN (
  SELECT topic, "partition", max(next_offset) AS next_offset FROM landing.progress GROUP BY ALL
) AS progress USING (topic, "partition")
WHERE progress.next_offset IS DISTINCT FROM ledger.next_offset
ORDER BY detail
