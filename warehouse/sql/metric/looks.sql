-- rows for: refresh
-- grain:    the last look of each surveillance
-- inputs:   mart.surveillance_look
-- time:     all looks before $as_of

FROM mart.surveillance_look
WHERE as_of <= $as_of
QUALIFY row_number() OVER (PARTITION BY metric_id, metric_version, scope, scope_id ORDER BY look DESC) = 1
