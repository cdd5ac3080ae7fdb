-- Grain: one folder that a backup was made in.
SELECT DISTINCT path FROM privacy.backup ORDER BY path
