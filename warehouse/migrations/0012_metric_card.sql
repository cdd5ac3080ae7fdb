-- 0012: the metric cards as data, so that whoever reads a number in the warehouse can read what it means there.

CREATE TABLE mart.metric_card (
  metric_id VARCHAR,
  version INTEGER,
  title VARCHAR,
  description VARCHAR,
  numerator VARCHAR,
  denominator VARCHAR,
  unit VARCHAR,
  interval_method VARCHAR,
  level DOUBLE,
  better VARCHAR,
  source VARCHAR,
  strata VARCHAR[],
  model VARCHAR,
  flags VARCHAR,
  signals VARCHAR,
  baseline VARCHAR,
  owner VARCHAR
);
COMMENT ON TABLE mart.metric_card IS 'Grain: one metric and version: what the number means. Written by refresh from the cards of warehouse.metrics, which decide.';
COMMENT ON COLUMN mart.metric_card.metric_id IS 'metric card';
COMMENT ON COLUMN mart.metric_card.version IS 'version of the card; a change of meaning is a new version';
COMMENT ON COLUMN mart.metric_card.title IS 'name';
COMMENT ON COLUMN mart.metric_card.description IS 'what it says, in words a manager can read';
COMMENT ON COLUMN mart.metric_card.numerator IS 'what is counted';
COMMENT ON COLUMN mart.metric_card.denominator IS 'among what';
COMMENT ON COLUMN mart.metric_card.unit IS 'unit of value and limits';
COMMENT ON COLUMN mart.metric_card.interval_method IS 'how the interval is made';
COMMENT ON COLUMN mart.metric_card.level IS 'confidence level of the interval, two-sided';
COMMENT ON COLUMN mart.metric_card.better IS 'direction that is good: lower or higher';
COMMENT ON COLUMN mart.metric_card.source IS 'where definition and method come from';
COMMENT ON COLUMN mart.metric_card.strata IS 'what it is adjusted for; empty where it is not';
COMMENT ON COLUMN mart.metric_card.model IS 'model that adjusts; null where none does';
COMMENT ON COLUMN mart.metric_card.flags IS 'what raises a flag, in words; null where nothing does';
COMMENT ON COLUMN mart.metric_card.signals IS 'when a flag becomes a signal and when that is cleared; null where none is opened';
COMMENT ON COLUMN mart.metric_card.baseline IS 'what it is held against; null where nothing';
COMMENT ON COLUMN mart.metric_card.owner IS 'who owns the rule; null without a rule';
