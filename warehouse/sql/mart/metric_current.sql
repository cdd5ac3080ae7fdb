-- relation: mart.metric_current
-- grain:    one metric version, scope, period and interval
-- inputs:   mart.metric_result
-- time:     the newest as_of only

CREATE OR REPLACE VIEW mart.metric_current AS
SELECT *  -- the columns of mart.metric_result since 0004
FROM mart.metric_result
WHERE as_of = (SELECT max(as_of) FROM mart.metric_result);

COMMENT ON VIEW mart.metric_current IS 'Grain: one metric version, scope, period and interval, as of the newest day computed.';
