-- One group of small adjacent files becomes one file, sorted as the table says; an empty result: none was left.
CALL ducklake_merge_adjacent_files('dermastream', $table, schema => $schema, max_compacted_files => 1)
