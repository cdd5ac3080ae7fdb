-- Grain: one file that no snapshot needs, whenever it ceased to be needed. Removed unless $dry_run.
CALL ducklake_cleanup_old_files('dermastream', dry_run => $dry_run, cleanup_all => true)
