-- Grain: one batch of the ledger, over its partitions.
SELECT batch_id, sum(landed)::BIGINT AS landed, sum(quarantined)::BIGINT AS quarantined
FROM landing.batch
GROUP BY batch_id
