-- Grain: one table of the warehouse with what it holds now, by the catalog.
-- Inputs: the catalog's own tables. files: data files of the newest snapshot; deleted_in_files: those with deletions.
SELECT
  schema.schema_name AS "schema",
  info.table_name AS "table",
  schema.schema_name || '.' || info.table_name AS relation,
  count(file.data_file_id) AS files,
  count(deleted.data_file_id) AS deleted_in_files,
  coalesce(sum(file.record_count), 0) - coalesce(sum(deleted.delete_count), 0) AS rows
FROM __ducklake_metadata_dermastream.ducklake_table AS info
JOIN __ducklake_metadata_dermastream.ducklake_schema AS schema
  ON schema.schema_id = info.schema_id AND schema.end_snapshot IS NULL
LEFT JOIN __ducklake_metadata_dermastream.ducklake_data_file AS file
  ON file.table_id = info.table_id AND file.end_snapshot IS NULL
LEFT JOIN __ducklake_metadata_dermastream.ducklake_delete_file AS deleted
  ON deleted.data_file_id = file.data_file_id AND deleted.end_snapshot IS NULL
WHERE info.end_snapshot IS NULL
GROUP BY ALL
ORDER BY relation
