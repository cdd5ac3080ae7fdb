-- The named snapshots are forgotten; files that only they needed are scheduled for removal.
CALL ducklake_expire_snapshots('dermastream', versions => $versions)
