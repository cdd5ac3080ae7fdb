-- The catalog's widest range of a text column over time, as DuckLake keeps it for planning: set to what the
-- files of today hold, because a key that was deleted may have been its end.
UPDATE __ducklake_metadata_dermastream.ducklake_table_column_stats AS known
SET min_value = now.min_value, max_value = now.max_value
FROM (
  SELECT column_of.table_id, column_of.column_id, min(stats.min_value) AS min_value, max(stats.max_value) AS max_value
  FROM __ducklake_metadata_dermastream.ducklake_column AS column_of
  LEFT JOIN __ducklake_metadata_dermastream.ducklake_file_column_stats AS stats USING (table_id, column_id)
  WHERE column_of.column_type = 'varchar' AND column_of.end_snapshot IS NULL
  GROUP BY ALL
) AS now
WHERE now.table_id = known.table_id AND now.column_id = known.column_id
