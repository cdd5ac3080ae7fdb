-- 0004: what the safety metrics add to a result, the looks of sequential surveillance, the case-mix models used,
-- and signals as a history that only grows. All new columns are null for metrics that do not have them.

ALTER TABLE mart.metric_result ADD COLUMN expected DOUBLE;
ALTER TABLE mart.metric_result ADD COLUMN statistic DOUBLE;
ALTER TABLE mart.metric_result ADD COLUMN threshold DOUBLE;
ALTER TABLE mart.metric_result ADD COLUMN p DOUBLE;
ALTER TABLE mart.metric_result ADD COLUMN q DOUBLE;
ALTER TABLE mart.metric_result ADD COLUMN detectable_ratio DOUBLE;
ALTER TABLE mart.metric_result ADD COLUMN flag VARCHAR;
ALTER TABLE mart.metric_result ADD COLUMN consecutive_flags INTEGER;
ALTER TABLE mart.metric_result ADD COLUMN change DOUBLE;
COMMENT ON COLUMN mart.metric_result.expected IS 'events expected by the case-mix model or plan';
COMMENT ON COLUMN mart.metric_result.statistic IS 'test statistic: z, or the log-likelihood ratio of a sequential test';
COMMENT ON COLUMN mart.metric_result.threshold IS 'what the statistic (sequential) or q (others) is held against';
COMMENT ON COLUMN mart.metric_result.p IS 'p-value of this row alone; null where it is not tested';
COMMENT ON COLUMN mart.metric_result.q IS 'false discovery rate among the rows of the same metric and scope';
COMMENT ON COLUMN mart.metric_result.detectable_ratio IS 'smallest ratio that would be found with 80 % power at this exposure; null where none below 1000 would';
COMMENT ON COLUMN mart.metric_result.flag IS 'high, low, under or over where a threshold is crossed; null otherwise';
COMMENT ON COLUMN mart.metric_result.consecutive_flags IS 'days computed in a row with this flag, this one included; 0 without';
COMMENT ON COLUMN mart.metric_result.change IS 'value minus the value of the day computed before; null for the first';

CREATE TABLE mart.surveillance_look (
  metric_id VARCHAR,
  metric_version INTEGER,
  scope VARCHAR,
  scope_id VARCHAR,
  look INTEGER,
  as_of TIMESTAMPTZ,
  events BIGINT,
  expected DOUBLE,
  relative_risk DOUBLE,
  statistic DOUBLE,
  critical_value DOUBLE,
  alpha_spent DOUBLE,
  signal BOOLEAN,
  reason VARCHAR
);
COMMENT ON TABLE mart.surveillance_look IS 'Grain: one look of one sequential surveillance; append-only, so that no look is taken twice.';
COMMENT ON COLUMN mart.surveillance_look.metric_id IS 'metric card';
COMMENT ON COLUMN mart.surveillance_look.metric_version IS 'version of the card; a new version begins anew';
COMMENT ON COLUMN mart.surveillance_look.scope IS 'what is watched: cartridge_lot, firmware';
COMMENT ON COLUMN mart.surveillance_look.scope_id IS 'which one';
COMMENT ON COLUMN mart.surveillance_look.look IS 'number of the look, from 1';
COMMENT ON COLUMN mart.surveillance_look.as_of IS 'what was known up to then; UTC';
COMMENT ON COLUMN mart.surveillance_look.events IS 'events since the start';
COMMENT ON COLUMN mart.surveillance_look.expected IS 'events expected since the start';
COMMENT ON COLUMN mart.surveillance_look.relative_risk IS 'events / expected; null where nothing was expected';
COMMENT ON COLUMN mart.surveillance_look.statistic IS 'log-likelihood ratio of an excess';
COMMENT ON COLUMN mart.surveillance_look.critical_value IS 'from which the look signals';
COMMENT ON COLUMN mart.surveillance_look.alpha_spent IS 'chance of a signal up to this look when nothing is wrong';
COMMENT ON COLUMN mart.surveillance_look.signal IS 'whether this look or an earlier one signalled';
COMMENT ON COLUMN mart.surveillance_look.reason IS 'why the look could not signal; null when it could';

CREATE TABLE mart.case_mix_coefficient (
  model_version INTEGER,
  family VARCHAR,
  outcome VARCHAR,
  term VARCHAR,
  coefficient DOUBLE,
  error DOUBLE,
  sessions DOUBLE,
  events DOUBLE,
  as_of TIMESTAMPTZ,
  snapshot_id BIGINT
);
COMMENT ON TABLE mart.case_mix_coefficient IS 'Grain: one term of the case-mix model fitted for one day; the expected numbers of that day rest on it.';
COMMENT ON COLUMN mart.case_mix_coefficient.model_version IS 'version of the model''s form';
COMMENT ON COLUMN mart.case_mix_coefficient.family IS 'logistic or poisson';
COMMENT ON COLUMN mart.case_mix_coefficient.outcome IS 'what it predicts';
COMMENT ON COLUMN mart.case_mix_coefficient.term IS 'intercept, feature=level, or feature';
COMMENT ON COLUMN mart.case_mix_coefficient.coefficient IS 'log odds or log rate';
COMMENT ON COLUMN mart.case_mix_coefficient.error IS 'standard error';
COMMENT ON COLUMN mart.case_mix_coefficient.sessions IS 'sessions it was fitted on';
COMMENT ON COLUMN mart.case_mix_coefficient.events IS 'of these, with an adverse event';
COMMENT ON COLUMN mart.case_mix_coefficient.as_of IS 'what was known up to then; UTC';
COMMENT ON COLUMN mart.case_mix_coefficient.snapshot_id IS 'warehouse snapshot it was fitted on';

CREATE TABLE mart.signal_event (
  signal_id VARCHAR,
  number INTEGER,
  kind VARCHAR,
  happened_at TIMESTAMPTZ,
  actor VARCHAR,
  metric_id VARCHAR,
  metric_version INTEGER,
  scope VARCHAR,
  scope_id VARCHAR,
  flag VARCHAR,
  as_of TIMESTAMPTZ,
  value DOUBLE,
  q DOUBLE,
  owner VARCHAR,
  until TIMESTAMPTZ,
  note VARCHAR
);
COMMENT ON TABLE mart.signal_event IS 'Grain: one thing that happened to a signal; append-only. mart.signal is what follows from it.';
COMMENT ON COLUMN mart.signal_event.signal_id IS 'signal';
COMMENT ON COLUMN mart.signal_event.number IS 'place in the signal''s history, from 1';
COMMENT ON COLUMN mart.signal_event.kind IS 'opened, cleared, reopened (by the rules); acknowledged, assigned, snoozed, closed (by a person)';
COMMENT ON COLUMN mart.signal_event.happened_at IS 'when; UTC';
COMMENT ON COLUMN mart.signal_event.actor IS 'who: a person, or the rule';
COMMENT ON COLUMN mart.signal_event.metric_id IS 'metric card of the rule';
COMMENT ON COLUMN mart.signal_event.metric_version IS 'version of the card the signal was opened by; a new version opens its own';
COMMENT ON COLUMN mart.signal_event.scope IS 'what it is about: clinic, operator, cartridge_lot, ...';
COMMENT ON COLUMN mart.signal_event.scope_id IS 'which one';
COMMENT ON COLUMN mart.signal_event.flag IS 'high, low, under or over';
COMMENT ON COLUMN mart.signal_event.as_of IS 'of the result that it rests on; null for what a person did';
COMMENT ON COLUMN mart.signal_event.value IS 'value of that result; null for what a person did';
COMMENT ON COLUMN mart.signal_event.q IS 'its false discovery rate; null for sequential rules and persons';
COMMENT ON COLUMN mart.signal_event.owner IS 'who looks after it from then on; null where this changes nothing';
COMMENT ON COLUMN mart.signal_event.until IS 'end of a snooze; UTC';
COMMENT ON COLUMN mart.signal_event.note IS 'reason of a snooze, conclusion at closing';
