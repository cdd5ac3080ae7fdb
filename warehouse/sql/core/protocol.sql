-- relation: core.protocol
-- grain:    one version of a protocol; protocols belong to the network, not to the clinic that sent them
-- inputs:   raw.protocol_published, core.voided
-- time:     latest truth, by occurred_at, then received_at, then id; a reader cuts at its own as_of

CREATE OR REPLACE VIEW core.protocol AS
WITH standing AS MATERIALIZED (
  FROM raw.protocol_published AS fact
  WHERE NOT EXISTS (
    FROM core.voided WHERE voided.source = fact.source AND voided.voided_id = fact.id
  )
)
SELECT
  fact.protocol_id,
  fact.version,
  fact.indication,
  fact.depth_mm,
  fact.stroke_rate_per_min,
  fact.sessions_planned,
  fact.interval_days,
  fact.occurred_at
FROM standing AS fact
WHERE NOT EXISTS (
  FROM standing AS correction
  WHERE correction.source = fact.source
    AND correction.supersedes = fact.id
    AND correction.supersedes <> correction.id
)
QUALIFY row_number() OVER (
  PARTITION BY fact.protocol_id, fact.version
  ORDER BY fact.occurred_at DESC, fact.received_at DESC, fact.id DESC, fact.source DESC
) = 1;

COMMENT ON VIEW core.protocol IS 'Grain: one version of a protocol of the network, as last published. Depth in mm, stroke rate per minute, interval in days.';
