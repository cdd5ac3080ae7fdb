-- Grain: one file that no snapshot needs any more since before $older_than; removed unless $dry_run.
CALL ducklake_cleanup_old_files('dermastream', dry_run => $dry_run, older_than => $older_than)
