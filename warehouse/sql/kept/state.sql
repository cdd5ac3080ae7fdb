-- rows for: kept
-- grain:    one row, none before marts were first built: what they rest on, and whether the change feed still
--           reaches back to there (it does not once snapshots since then have expired)
-- inputs:   mart.kept, DuckLake's own tables
-- time:     now

SELECT
  kept.snapshot_id,
  kept.definitions,
  (
    SELECT count(*) = coalesce(max(snapshot_id), kept.snapshot_id) - kept.snapshot_id
    FROM __ducklake_metadata_dermastream.ducklake_snapshot
    WHERE snapshot_id > kept.snapshot_id
  ) AS reachable
FROM mart.kept AS kept
