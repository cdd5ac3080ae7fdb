-- Grain: one file in the data folder that the catalog does not know, last written before $older_than: what a
-- killed writer left. Removed unless $dry_run.
CALL ducklake_delete_orphaned_files('dermastream', dry_run => $dry_run, older_than => $older_than)
