-- Grain: one table at snapshot $snapshot, with the rows that its files hold by the catalog.
SELECT
  schema.schema_name AS "schema",
  info.table_name AS "table",
  schema.schema_name || '.' || info.table_name AS relation,
  coalesce(sum(file.record_count), 0)::BIGINT - coalesce(sum(deleted.delete_count), 0)::BIGINT AS rows,
  bool_or(column_of.column_name = 'batch_id') AS has_batch
FROM __ducklake_metadata_dermastream.ducklake_table AS info
JOIN __ducklake_metadata_dermastream.ducklake_schema AS schema USING (schema_id)
LEFT JOIN __ducklake_metadata_dermastream.ducklake_column AS column_of
  ON column_of.table_id = info.table_id
  AND column_of.column_name = 'batch_id'
  AND column_of.begin_snapshot <= $snapshot AND coalesce(column_of.end_snapshot > $snapshot, true)
LEFT JOIN __ducklake_metadata_dermastream.ducklake_data_file AS file
  ON file.table_id = info.table_id
  AND file.begin_snapshot <= $snapshot AND coalesce(file.end_snapshot > $snapshot, true)
LEFT JOIN __ducklake_metadata_dermastream.ducklake_delete_file AS deleted
  ON deleted.data_file_id = file.data_file_id
  AND deleted.begin_snapshot <= $snapshot AND coalesce(deleted.end_snapshot > $snapshot, true)
WHERE info.begin_snapshot <= $snapshot AND coalesce(info.end_snapshot > $snapshot, true)
GROUP BY ALL
ORDER BY relation
