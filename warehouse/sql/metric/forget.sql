-- refresh: the day's earlier rows make room for the new ones. [$day, $day + 24 hours)
DELETE FROM mart.metric_result WHERE as_of >= $day AND as_of < $day + to_hours(24)
