-- 0014: are the patients of a protocol like those it is compared with? Before and after weighting, kept beside the
-- adjusted difference. Holds the newest day only; written by refresh alone.

CREATE TABLE mart.protocol_balance (
  protocol_id VARCHAR,
  covariate VARCHAR,
  category VARCHAR,
  patients BIGINT,
  compared BIGINT,
  mean_own DOUBLE,
  mean_other DOUBLE,
  smd DOUBLE,
  smd_weighted DOUBLE,
  reason VARCHAR,
  as_of TIMESTAMPTZ,
  snapshot_id BIGINT
);
COMMENT ON TABLE mart.protocol_balance IS 'Grain: one protocol and one covariate, or one category of it: how far its patients differ from those of other protocols for the same concerns, before and after the weights of the adjusted difference, as of the newest refresh only.';
COMMENT ON COLUMN mart.protocol_balance.protocol_id IS 'protocol';
COMMENT ON COLUMN mart.protocol_balance.covariate IS 'indication, area, skin_type, age_band or session_number';
COMMENT ON COLUMN mart.protocol_balance.category IS 'which value of it; null where it is a number';
COMMENT ON COLUMN mart.protocol_balance.patients IS 'patients of the protocol';
COMMENT ON COLUMN mart.protocol_balance.compared IS 'patients of the others for the same concerns';
COMMENT ON COLUMN mart.protocol_balance.mean_own IS 'mean over its patients, a proportion for a category; before weighting';
COMMENT ON COLUMN mart.protocol_balance.mean_other IS 'the same over the others';
COMMENT ON COLUMN mart.protocol_balance.smd IS 'standardised mean difference before weighting; below 0.1 either side is commonly called balanced; null with a reason';
COMMENT ON COLUMN mart.protocol_balance.smd_weighted IS 'the same after weighting; null where no weights could be estimated';
COMMENT ON COLUMN mart.protocol_balance.reason IS 'why a difference has no value; null if both have';
COMMENT ON COLUMN mart.protocol_balance.as_of IS 'what was known up to then; UTC';
COMMENT ON COLUMN mart.protocol_balance.snapshot_id IS 'warehouse snapshot it was computed from';
