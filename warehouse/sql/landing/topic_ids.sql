-- Grain: one topic whose id is known. Input: landing.progress.
SELECT DISTINCT topic, topic_id FROM landing.progress WHERE topic_id IS NOT NULL
