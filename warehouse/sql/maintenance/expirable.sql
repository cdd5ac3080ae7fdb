-- Grain: one snapshot older than $before that nobody pinned; never the newest.
SELECT snapshot_id
FROM __ducklake_metadata_dermastream.ducklake_snapshot
WHERE snapshot_time::TIMESTAMPTZ < $before
  AND snapshot_id < (SELECT max(snapshot_id) FROM __ducklake_metadata_dermastream.ducklake_snapshot)
  AND NOT list_contains($pins::BIGINT[], snapshot_id)
ORDER BY snapshot_id
