-- rows for: refresh_if_changed
-- grain:    one row: did anything the metrics read change after snapshot $since?
-- inputs:   DuckLake's own tables (its specification names them), for a look that costs milliseconds however much
--           history there is; merged files do not count, expired snapshots do
-- time:     snapshots after $since

WITH input AS (
  SELECT relation.table_id
  FROM __ducklake_metadata_dermastream.ducklake_table AS relation
  JOIN __ducklake_metadata_dermastream.ducklake_schema AS schema USING (schema_id)
  WHERE schema.schema_name = 'raw' AND relation.table_name NOT IN ('telemetry_frame', 'operator_registered')
),
later AS (
  SELECT snapshot_id, unnest(string_split(changes_made, ',')) AS change
  FROM __ducklake_metadata_dermastream.ducklake_snapshot_changes
  WHERE snapshot_id > $since
)
SELECT
  coalesce(min(snapshot_id) > $since + 1, false)
  OR coalesce(
    bool_or(
      change IN (SELECT 'inserted_into_table:' || table_id FROM input)
      OR change IN (SELECT 'deleted_from_table:' || table_id FROM input)
      OR starts_with(change, 'created_view:')
      OR starts_with(change, 'altered_view:')
    ),
    false
  ) AS changed
FROM later
