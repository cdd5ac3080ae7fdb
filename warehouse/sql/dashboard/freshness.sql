-- relation: how fresh the whole service is; counts of events of the network, about no clinic
-- grain:    exactly one row
-- inputs:   mart.freshness
-- time:     newest of each; null before the first
SELECT
  newest_received_at, newest_landed_at, newest_metric_at, newest_as_of,
  consumed, landed, duplicate, quarantined
FROM mart.freshness
