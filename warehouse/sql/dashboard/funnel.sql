-- relation: funnel limits around a ratio of 1: what chance alone leaves outside at most 1 - level of
-- grain:    one expected number and level
-- inputs:   the Poisson distribution; $top: the largest expected number wanted
-- time:     none
-- source:   Spiegelhalter, Statistics in Medicine 24 (2005) 1185-1202, exact limits; as warehouse.metrics'
--           funnel_limits(kind='ratio', method='exact')
WITH size AS (
  SELECT DISTINCT greatest(0.5, round($top * pow(step / 40.0, 2), 2)) AS expected
  FROM range(1, 41) AS grid(step)
),
cumulated AS (
  SELECT
    size.expected,
    count.k,
    sum(exp(count.k * ln(size.expected) - size.expected - lgamma(count.k + 1.0)))
      OVER (PARTITION BY size.expected ORDER BY count.k) AS probability
  FROM size
  CROSS JOIN range(0, ($top + 8 * sqrt($top) + 20)::BIGINT) AS count(k)
)
SELECT
  cumulated.expected,
  level.level,
  min(k) FILTER (probability > (1 - level.level) / 2) / cumulated.expected AS lower,
  min(k) FILTER (probability >= (1 + level.level) / 2) / cumulated.expected AS upper
FROM cumulated
CROSS JOIN (VALUES (0.95::DOUBLE), (0.998::DOUBLE)) AS level(level)
GROUP BY cumulated.expected, level.level
ORDER BY level.level, cumulated.expected
