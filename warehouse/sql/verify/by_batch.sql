-- Grain: one batch that RELATION holds rows of.
SELECT batch_id, count(*) AS events FROM RELATION WHERE batch_id IS NOT NULL GROUP BY batch_id
