-- mart.metric_card: one card, before it is written anew.
DELETE FROM mart.metric_card WHERE metric_id = $metric_id AND version = $version
