-- rows for: kept
-- grain:    one row: were rows deleted from any raw table?
-- inputs:   DuckLake's own tables
-- time:     snapshots $first to $last, both included

WITH later AS (
  SELECT unnest(string_split(changes_made, ',')) AS change
  FROM __ducklake_metadata_dermastream.ducklake_snapshot_changes
  WHERE snapshot_id BETWEEN $first AND $last
)
SELECT count(*) > 0 AS removed
FROM later
JOIN __ducklake_metadata_dermastream.ducklake_table AS relation
  ON later.change = 'deleted_from_table:' || relation.table_id
JOIN __ducklake_metadata_dermastream.ducklake_schema AS schema USING (schema_id)
WHERE schema.schema_name = 'raw'
