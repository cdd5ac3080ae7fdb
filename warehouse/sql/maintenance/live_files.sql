-- Grain: one file, relative to the data folder where path_is_relative, that some snapshot still needs.
-- Inputs: the catalog's data and delete files. Nothing here may ever be removed.
WITH file AS (
  SELECT table_id, data_file_id AS id, path, path_is_relative, file_size_bytes, begin_snapshot, 'data' AS kind,
    encryption_key
  FROM __ducklake_metadata_dermastream.ducklake_data_file
  UNION ALL
  SELECT table_id, delete_file_id, path, path_is_relative, file_size_bytes, begin_snapshot, 'delete',
    encryption_key
  FROM __ducklake_metadata_dermastream.ducklake_delete_file
)
SELECT DISTINCT
  schema.schema_name || '.' || info.table_name AS relation,
  file.kind,
  CASE
    WHEN NOT file.path_is_relative THEN file.path
    ELSE CASE WHEN schema.path_is_relative AND info.path_is_relative THEN schema.path ELSE '' END
      || info.path || file.path
  END AS path,
  file.path_is_relative,
  file.file_size_bytes AS bytes,
  file.begin_snapshot,
  file.encryption_key AS key  -- base64; null where the file is not encrypted
FROM file
JOIN __ducklake_metadata_dermastream.ducklake_table AS info ON info.table_id = file.table_id
JOIN __ducklake_metadata_dermastream.ducklake_schema AS schema ON schema.schema_id = info.schema_id
ORDER BY path
