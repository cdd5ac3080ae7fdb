-- The catalog's range of a text column over all time, which DuckLake keeps for planning: set to what the files
-- of today hold, because a key that was deleted may have been its end. In SQLite's own dialect, on its file.
UPDATE ducklake_table_column_stats AS known
SET
  min_value = (
    SELECT min(stats.min_value) FROM ducklake_file_column_stats AS stats
    WHERE stats.table_id = known.table_id AND stats.column_id = known.column_id
  ),
  max_value = (
    SELECT max(stats.max_value) FROM ducklake_file_column_stats AS stats
    WHERE stats.table_id = known.table_id AND stats.column_id = known.column_id
  )
WHERE EXISTS (
  SELECT 1 FROM ducklake_column AS column_of
  WHERE column_of.table_id = known.table_id
    AND column_of.column_id = known.column_id
    AND column_of.end_snapshot IS NULL
    AND column_of.column_type = 'varchar'
)
