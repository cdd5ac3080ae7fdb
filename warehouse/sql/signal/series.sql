-- relation: how the result behind a signal went
-- grain:    one day computed, the newest of each UTC day
-- inputs:   mart.metric_result; $metric, $version, $scope, $scope_id, $since
-- time:     as_of from $since on
SELECT CAST(as_of AT TIME ZONE 'UTC' AS DATE) AS day, value, lower, upper
FROM mart.metric_result
WHERE metric_id = $metric AND metric_version = $version AND scope = $scope AND scope_id = $scope_id
  AND period = 'year' AND as_of >= $since
QUALIFY row_number() OVER (PARTITION BY CAST(as_of AT TIME ZONE 'UTC' AS DATE) ORDER BY as_of DESC) = 1
ORDER BY day
