-- Grain: one file that the catalog does not know, however new: only for who holds the writers' turn.
CALL ducklake_delete_orphaned_files('dermastream', dry_run => $dry_run, cleanup_all => true)
