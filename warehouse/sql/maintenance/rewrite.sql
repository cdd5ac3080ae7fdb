-- Files of which more than the share $threshold of rows is deleted are written again without those rows.
CALL ducklake_rewrite_data_files('dermastream', $table, schema => $schema, delete_threshold => $threshold)
