-- privacy.backup. One backup that was made, or found again where it lies.
INSERT INTO privacy.backup VALUES ($path, $made_at, $snapshot_id)
