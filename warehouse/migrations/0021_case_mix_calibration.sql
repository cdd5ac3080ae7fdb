-- 0021: does the case-mix model say as many adverse events as there were, at low and at high risk? Holds the newest day
-- only; written by refresh alone.

CREATE TABLE mart.case_mix_calibration (
  tenth INTEGER,
  sessions BIGINT,
  observed BIGINT,
  expected DOUBLE,
  lower DOUBLE,
  upper DOUBLE,
  level DOUBLE,
  as_of TIMESTAMPTZ,
  snapshot_id BIGINT
);
COMMENT ON TABLE mart.case_mix_calibration IS 'Grain: one tenth of the sessions that the case-mix model was fitted on, by the risk it gives them, as of the newest refresh only: as many adverse events as expected? Sessions of equal risk are in one tenth, so that there may be fewer than ten.';
COMMENT ON COLUMN mart.case_mix_calibration.tenth IS '1 holds the sessions of least risk';
COMMENT ON COLUMN mart.case_mix_calibration.sessions IS 'sessions in it';
COMMENT ON COLUMN mart.case_mix_calibration.observed IS 'of these, with an adverse event';
COMMENT ON COLUMN mart.case_mix_calibration.expected IS 'as many as the model expects';
COMMENT ON COLUMN mart.case_mix_calibration.lower IS 'lower limit of observed, Clopper-Pearson; the model fits where expected lies between the limits';
COMMENT ON COLUMN mart.case_mix_calibration.upper IS 'upper limit of observed';
COMMENT ON COLUMN mart.case_mix_calibration.level IS 'two-sided level of the limits';
COMMENT ON COLUMN mart.case_mix_calibration.as_of IS 'what was known up to then; UTC';
COMMENT ON COLUMN mart.case_mix_calibration.snapshot_id IS 'warehouse snapshot it was computed from';
