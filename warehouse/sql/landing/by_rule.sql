-- Grain: one rule that refused events of the batch.
SELECT rule, count(*) AS events FROM landing.quarantine WHERE batch_id = $batch_id GROUP BY rule ORDER BY rule
