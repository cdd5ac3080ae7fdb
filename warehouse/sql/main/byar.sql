-- macro:  byar(events, z := 1.96)
-- gives:  {lower, upper} of a Poisson count, by Byar's approximation: quick over many rows, and within 1 % of the
--         exact limits from 5 events on; divide both by the exposure for a rate
-- source: Breslow and Day 1987, Statistical Methods in Cancer Research II, eq. 2.12

CREATE OR REPLACE MACRO byar(events, z := 1.959963984540054) AS {
  'lower': CASE WHEN events > 0 THEN events * pow(1 - 1 / (9 * events) - z / (3 * sqrt(events)), 3) ELSE 0.0 END,
  'upper': (events + 1) * pow(1 - 1 / (9 * (events + 1)) + z / (3 * sqrt(events + 1)), 3)
};
