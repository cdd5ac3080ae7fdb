-- rows for: refresh
-- grain:    one row: the newest moment that mart.metric_result speaks of; null before the first refresh
-- inputs:   mart.metric_result
-- time:     all

SELECT max(as_of) AS as_of FROM mart.metric_result
