-- Grain: one tombstone.
SELECT DISTINCT kind, digest, key_id, min(erased_at) AS erased_at FROM privacy.tombstone GROUP BY ALL
