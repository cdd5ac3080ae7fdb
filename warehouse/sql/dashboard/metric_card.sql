-- relation: what every metric means
-- grain:    one metric, its newest version
-- inputs:   mart.metric_card: definitions, no data
-- time:     as last refreshed
SELECT *
FROM mart.metric_card
QUALIFY version = max(version) OVER (PARTITION BY metric_id)
ORDER BY title, metric_id
