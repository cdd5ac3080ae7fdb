-- Grain: one row that changes when a tombstone is added: what a cache compares.
SELECT count(*) AS tombstones, max(erased_at) AS newest_at FROM privacy.tombstone
