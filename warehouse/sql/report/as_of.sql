-- relation: the days of knowledge that a report of one week reads
-- grain:    one row; nulls where there is no metric result
-- inputs:   mart.metric_result; $week_end (exclusive end of the week, UTC)
-- time:     as_of is the newest day in the seven days after the week, so that an old report stays what it was;
--           else the first day after that; else the newest there is (the week is then incomplete).
--           earlier_as_of is the newest day between one and two weeks before as_of.
WITH chosen AS (
  SELECT coalesce(
    max(as_of) FILTER (WHERE as_of >= $week_end AND as_of < $week_end + INTERVAL 7 DAY),
    min(as_of) FILTER (WHERE as_of >= $week_end + INTERVAL 7 DAY),
    max(as_of)
  ) AS as_of
  FROM mart.metric_result
)
SELECT
  chosen.as_of,
  max(result.as_of) AS earlier_as_of
FROM chosen
LEFT JOIN mart.metric_result AS result
  ON result.as_of <= chosen.as_of - INTERVAL 7 DAY
  AND result.as_of > chosen.as_of - INTERVAL 14 DAY
GROUP BY chosen.as_of
