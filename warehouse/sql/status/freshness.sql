-- The service's totals and freshness. Grain: exactly one row. Inputs: landing.batch, landing.progress,
-- landing.accepted_loss, mart.freshness. balanced: every ledger row adds up, and the ledger of each topic as it
-- is spans all offsets up to the progress. lost_accepted: offsets gone from Kafka, whose loss was accepted.
WITH spans AS (
  SELECT topic, "partition", min(first_offset) AS first_offset, max(next_offset) AS last_offset,
    sum(consumed + skipped) AS spanned, bool_and(consumed = landed + duplicate + quarantined) AS adds_up
  FROM landing.batch
  WHERE former_topic_id IS NULL
  GROUP BY topic, "partition"
)
SELECT
  freshness.consumed, freshness.landed, freshness.duplicate, freshness.quarantined,
  (SELECT coalesce(bool_and(adds_up AND last_offset - first_offset = spanned
     AND last_offset = progress.next_offset), true)
   FROM spans JOIN landing.progress AS progress USING (topic, "partition")) AS balanced,
  (SELECT coalesce(sum(next_offset - first_offset), 0) FROM landing.accepted_loss)::BIGINT AS lost_accepted,
  freshness.newest_received_at, freshness.newest_landed_at, freshness.newest_metric_at,
  (SELECT max(snapshot_id) FROM ducklake_snapshots('dermastream')) AS newest_snapshot_id,
  (SELECT max(snapshot_time) FROM ducklake_snapshots('dermastream')) AS newest_snapshot_at
FROM mart.freshness AS freshness
