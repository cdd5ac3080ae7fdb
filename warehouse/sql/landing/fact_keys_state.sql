-- Grain: exactly one row: the days whose keys temp.fact_key holds, the snapshot it is of (null: none yet), and whether
-- the change feed still reaches back to there (it does not once snapshots since then have expired).
WITH held AS (SELECT coalesce(list(day), []) AS days, max(snapshot_id) AS snapshot_id FROM fact_day)
SELECT
  days,
  snapshot_id,
  (
    SELECT count(*) = coalesce(max(later.snapshot_id), held.snapshot_id) - held.snapshot_id
    FROM __ducklake_metadata_dermastream.ducklake_snapshot AS later
    WHERE later.snapshot_id > held.snapshot_id
  ) AS reachable
FROM held
