-- macro:  wilson(events, total, z := 1.96)
-- gives:  {value, lower, upper} of a proportion, by Wilson's score interval; null where total is 0
-- source: Wilson 1927, JASA 22:209; warehouse.metrics.intervals.wilson computes the same

CREATE OR REPLACE MACRO wilson(events, total, z := 1.959963984540054) AS
CASE WHEN total > 0 THEN {
  'value': events / total,
  'lower': greatest(0.0, (events + z * z / 2 - z * sqrt(events * (total - events) / total + z * z / 4)) / (total + z * z)),
  'upper': least(1.0, (events + z * z / 2 + z * sqrt(events * (total - events) / total + z * z / 4)) / (total + z * z))
} END;
