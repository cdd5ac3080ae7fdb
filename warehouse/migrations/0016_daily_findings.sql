-- 0016: what is found every day beside the metric rows: who was left out and why, pairs of product and term, the
-- hierarchy of clinics, operators and lots, trends of severity, drifting devices, protocols with benefit and harm.
-- Each holds the newest day only; written by refresh alone.

CREATE TABLE mart.left_out (
  metric_id VARCHAR,
  scope VARCHAR,
  scope_id VARCHAR,
  reason VARCHAR,
  sessions BIGINT,
  as_of TIMESTAMPTZ,
  snapshot_id BIGINT
);
COMMENT ON TABLE mart.left_out IS 'Grain: one metric, scope and reason for which sessions of the year are not in its denominator, as of the newest refresh only.';
COMMENT ON COLUMN mart.left_out.metric_id IS 'metric card';
COMMENT ON COLUMN mart.left_out.scope IS 'network or clinic';
COMMENT ON COLUMN mart.left_out.scope_id IS 'which one';
COMMENT ON COLUMN mart.left_out.reason IS 'why they are not counted, in words';
COMMENT ON COLUMN mart.left_out.sessions IS 'how many sessions completed within the year';
COMMENT ON COLUMN mart.left_out.as_of IS 'what was known up to then; UTC';
COMMENT ON COLUMN mart.left_out.snapshot_id IS 'warehouse snapshot it was computed from';

CREATE TABLE mart.reported_pair (
  scope VARCHAR,
  scope_id VARCHAR,
  term VARCHAR,
  sessions BIGINT,
  expected DOUBLE,
  prr DOUBLE,
  prr_lower DOUBLE,
  prr_upper DOUBLE,
  ror DOUBLE,
  ror_lower DOUBLE,
  ror_upper DOUBLE,
  ic DOUBLE,
  ic_lower DOUBLE,
  ic_upper DOUBLE,
  ebgm DOUBLE,
  eb05 DOUBLE,
  eb95 DOUBLE,
  level DOUBLE,
  flag VARCHAR,
  reason VARCHAR,
  as_of TIMESTAMPTZ,
  snapshot_id BIGINT
);
COMMENT ON TABLE mart.reported_pair IS 'Grain: one lot, firmware, protocol or device and one term that was reported with it within the year, as of the first refresh of the newest day. Says which terms are reported more with it than with others; without denominators, so it is no rate.';
COMMENT ON COLUMN mart.reported_pair.scope IS 'cartridge_lot, firmware, protocol or device';
COMMENT ON COLUMN mart.reported_pair.scope_id IS 'which one';
COMMENT ON COLUMN mart.reported_pair.term IS 'term of the adverse event';
COMMENT ON COLUMN mart.reported_pair.sessions IS 'sessions with an adverse event that name both; a session counts once';
COMMENT ON COLUMN mart.reported_pair.expected IS 'such sessions if term and product had nothing to do with each other';
COMMENT ON COLUMN mart.reported_pair.prr IS 'proportional reporting ratio; null with a reason';
COMMENT ON COLUMN mart.reported_pair.prr_lower IS 'lower limit of prr';
COMMENT ON COLUMN mart.reported_pair.prr_upper IS 'upper limit of prr';
COMMENT ON COLUMN mart.reported_pair.ror IS 'reporting odds ratio; null with a reason';
COMMENT ON COLUMN mart.reported_pair.ror_lower IS 'lower limit of ror';
COMMENT ON COLUMN mart.reported_pair.ror_upper IS 'upper limit of ror';
COMMENT ON COLUMN mart.reported_pair.ic IS 'information component, bits: log2 of observed over expected, shrunken';
COMMENT ON COLUMN mart.reported_pair.ic_lower IS 'lower limit of ic';
COMMENT ON COLUMN mart.reported_pair.ic_upper IS 'upper limit of ic';
COMMENT ON COLUMN mart.reported_pair.ebgm IS 'empirical Bayes geometric mean of observed over expected; null where no prior could be fitted';
COMMENT ON COLUMN mart.reported_pair.eb05 IS '5 % quantile of that posterior';
COMMENT ON COLUMN mart.reported_pair.eb95 IS '95 % quantile of that posterior';
COMMENT ON COLUMN mart.reported_pair.level IS 'two-sided level of the limits';
COMMENT ON COLUMN mart.reported_pair.flag IS 'high: at least three sessions, and surely twice what is expected: eb05 of 2 or more, or ic_lower of 1 or more where no prior could be fitted; else null';
COMMENT ON COLUMN mart.reported_pair.reason IS 'why a ratio has no value or limit; null if all have';
COMMENT ON COLUMN mart.reported_pair.as_of IS 'what was known up to then; UTC';
COMMENT ON COLUMN mart.reported_pair.snapshot_id IS 'warehouse snapshot it was computed from';

CREATE TABLE mart.hierarchy_test (
  depth VARCHAR,
  clinic_id VARCHAR,
  operator VARCHAR,
  cartridge_lot VARCHAR,
  observed BIGINT,
  expected DOUBLE,
  value DOUBLE,
  p DOUBLE,
  q DOUBLE,
  rejected BOOLEAN,
  as_of TIMESTAMPTZ,
  snapshot_id BIGINT
);
COMMENT ON TABLE mart.hierarchy_test IS 'Grain: one clinic, one operator of a clinic, or one lot used by an operator, with its adverse events against all other sessions, as of the newest refresh only. Operators are tested in rejected clinics only, lots with rejected operators only, so that the false discovery rate holds down the tree.';
COMMENT ON COLUMN mart.hierarchy_test.depth IS 'clinic, operator or lot';
COMMENT ON COLUMN mart.hierarchy_test.clinic_id IS 'clinic';
COMMENT ON COLUMN mart.hierarchy_test.operator IS 'operator, as clinic/operator; null at depth clinic';
COMMENT ON COLUMN mart.hierarchy_test.cartridge_lot IS 'lot; null at depths clinic and operator';
COMMENT ON COLUMN mart.hierarchy_test.observed IS 'followed-up sessions with an adverse event within the year';
COMMENT ON COLUMN mart.hierarchy_test.expected IS 'such sessions if it were like the others with the same case mix';
COMMENT ON COLUMN mart.hierarchy_test.value IS 'observed over expected; null where nothing is expected';
COMMENT ON COLUMN mart.hierarchy_test.p IS 'one-sided, too many; mid-p';
COMMENT ON COLUMN mart.hierarchy_test.q IS 'smallest level at which it is rejected; null where it was not tested, because its parent was not rejected';
COMMENT ON COLUMN mart.hierarchy_test.rejected IS 'too many at a false discovery rate of 5 %';
COMMENT ON COLUMN mart.hierarchy_test.as_of IS 'what was known up to then; UTC';
COMMENT ON COLUMN mart.hierarchy_test.snapshot_id IS 'warehouse snapshot it was computed from';

CREATE TABLE mart.severity_trend (
  scope VARCHAR,
  scope_id VARCHAR,
  events BIGINT,
  statistic DOUBLE,
  p DOUBLE,
  method VARCHAR,
  reason VARCHAR,
  as_of TIMESTAMPTZ,
  snapshot_id BIGINT
);
COMMENT ON TABLE mart.severity_trend IS 'Grain: the network or one clinic with an adverse event within the year: did grades rise from month to month? As of the newest refresh only.';
COMMENT ON COLUMN mart.severity_trend.scope IS 'network or clinic';
COMMENT ON COLUMN mart.severity_trend.scope_id IS 'which one';
COMMENT ON COLUMN mart.severity_trend.events IS 'adverse events that are not expected reactions';
COMMENT ON COLUMN mart.severity_trend.statistic IS 'standardised; above 0 grades rise';
COMMENT ON COLUMN mart.severity_trend.p IS 'one-sided: a rise; null with a reason';
COMMENT ON COLUMN mart.severity_trend.method IS 'the test';
COMMENT ON COLUMN mart.severity_trend.reason IS 'why there is no p';
COMMENT ON COLUMN mart.severity_trend.as_of IS 'what was known up to then; UTC';
COMMENT ON COLUMN mart.severity_trend.snapshot_id IS 'warehouse snapshot it was computed from';

CREATE TABLE mart.device_drift (
  clinic_id VARCHAR,
  device_id VARCHAR,
  calibrations BIGINT,
  slope_mm_per_day DOUBLE,
  slope_lower DOUBLE,
  slope_upper DOUBLE,
  tolerance_mm DOUBLE,
  out_already BOOLEAN,
  expected_on DATE,
  earliest_on DATE,
  latest_on DATE,
  reason VARCHAR,
  as_of TIMESTAMPTZ,
  snapshot_id BIGINT
);
COMMENT ON TABLE mart.device_drift IS 'Grain: one device that was calibrated: where the depth errors found at its calibrations are heading, as of the newest refresh only. A prediction from a robust line, not a test.';
COMMENT ON COLUMN mart.device_drift.clinic_id IS 'clinic';
COMMENT ON COLUMN mart.device_drift.device_id IS 'device';
COMMENT ON COLUMN mart.device_drift.calibrations IS 'days with a calibration that told an error';
COMMENT ON COLUMN mart.device_drift.slope_mm_per_day IS 'median slope of the error, mm per day; null with a reason';
COMMENT ON COLUMN mart.device_drift.slope_lower IS 'lower 95 % limit of the slope';
COMMENT ON COLUMN mart.device_drift.slope_upper IS 'upper 95 % limit of the slope';
COMMENT ON COLUMN mart.device_drift.tolerance_mm IS 'largest error that is tolerated, either side, mm (assumption)';
COMMENT ON COLUMN mart.device_drift.out_already IS 'the line lies outside the tolerance by as_of';
COMMENT ON COLUMN mart.device_drift.expected_on IS 'predicted day out of tolerance; null: not within two years; UTC';
COMMENT ON COLUMN mart.device_drift.earliest_on IS 'the same by the limit of the slope that gets there first';
COMMENT ON COLUMN mart.device_drift.latest_on IS 'the same by the other limit';
COMMENT ON COLUMN mart.device_drift.reason IS 'why there is no slope';
COMMENT ON COLUMN mart.device_drift.as_of IS 'what was known up to then; UTC';
COMMENT ON COLUMN mart.device_drift.snapshot_id IS 'warehouse snapshot it was computed from';

CREATE TABLE mart.protocol_rank (
  indication VARCHAR,
  protocol_id VARCHAR,
  patients BIGINT,
  benefit_crude DOUBLE,
  benefit DOUBLE,
  benefit_lower DOUBLE,
  benefit_upper DOUBLE,
  rank BIGINT,
  rank_lower BIGINT,
  rank_upper BIGINT,
  harm DOUBLE,
  harm_lower DOUBLE,
  harm_upper DOUBLE,
  harm_patients BIGINT,
  level DOUBLE,
  reason VARCHAR,
  harm_reason VARCHAR,
  as_of TIMESTAMPTZ,
  snapshot_id BIGINT
);
COMMENT ON TABLE mart.protocol_rank IS 'Grain: one protocol among those used for one indication, benefit beside harm, both adjusted to the same patients, as of the newest refresh only. Never a bare league table: show rank_lower to rank_upper.';
COMMENT ON COLUMN mart.protocol_rank.indication IS 'skin concern';
COMMENT ON COLUMN mart.protocol_rank.protocol_id IS 'protocol';
COMMENT ON COLUMN mart.protocol_rank.patients IS 'its patients with a GAIS score after the latest session';
COMMENT ON COLUMN mart.protocol_rank.benefit_crude IS 'mean gain of its own patients, GAIS grades';
COMMENT ON COLUMN mart.protocol_rank.benefit IS 'mean gain if all patients with the indication had it, GAIS grades; null with a reason';
COMMENT ON COLUMN mart.protocol_rank.benefit_lower IS 'lower limit';
COMMENT ON COLUMN mart.protocol_rank.benefit_upper IS 'upper limit';
COMMENT ON COLUMN mart.protocol_rank.rank IS 'place by benefit, 1 is best; null where benefit is';
COMMENT ON COLUMN mart.protocol_rank.rank_lower IS 'best place that it may have: 1 + how many are surely better';
COMMENT ON COLUMN mart.protocol_rank.rank_upper IS 'worst place that it may have';
COMMENT ON COLUMN mart.protocol_rank.harm IS 'share with an adverse event after the latest session, if all had it; null with a reason';
COMMENT ON COLUMN mart.protocol_rank.harm_lower IS 'lower limit';
COMMENT ON COLUMN mart.protocol_rank.harm_upper IS 'upper limit';
COMMENT ON COLUMN mart.protocol_rank.harm_patients IS 'of patients, those whose outcome is known; harm is of these';
COMMENT ON COLUMN mart.protocol_rank.level IS 'two-sided level of the limits';
COMMENT ON COLUMN mart.protocol_rank.reason IS 'why there is no benefit';
COMMENT ON COLUMN mart.protocol_rank.harm_reason IS 'why there is no harm';
COMMENT ON COLUMN mart.protocol_rank.as_of IS 'what was known up to then; UTC';
COMMENT ON COLUMN mart.protocol_rank.snapshot_id IS 'warehouse snapshot it was computed from';
