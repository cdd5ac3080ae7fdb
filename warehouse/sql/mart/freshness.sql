-- relation: mart.freshness
-- grain:    exactly one row
-- inputs:   landing.batch, mart.metric_result
-- time:     newest of each; null before the first

CREATE OR REPLACE VIEW mart.freshness AS
SELECT
  landed.newest_received_at,  -- broker's time of the newest landed event
  landed.newest_landed_at,    -- newest landing transaction
  computed.newest_metric_at,  -- newest computation of metrics
  computed.newest_as_of,      -- moment the newest metrics speak of
  landed.consumed,            -- events
  landed.landed,              -- events
  landed.duplicate,           -- events
  landed.quarantined          -- events
FROM (
  SELECT
    max(newest_received_at) AS newest_received_at,
    max(landed_at) AS newest_landed_at,
    coalesce(sum(consumed), 0)::BIGINT AS consumed,
    coalesce(sum(landed), 0)::BIGINT AS landed,
    coalesce(sum(duplicate), 0)::BIGINT AS duplicate,
    coalesce(sum(quarantined), 0)::BIGINT AS quarantined
  FROM landing.batch
) AS landed
CROSS JOIN (
  SELECT max(computed_at) AS newest_metric_at, max(as_of) AS newest_as_of FROM mart.metric_result
) AS computed;

COMMENT ON VIEW mart.freshness IS 'Grain: one row. How far landing and metrics have come, and the sums of the landing books; times are null and counts 0 before the first batch.';
