-- relation: the day of knowledge that a report of one week reads
-- grain:    one row; null where there is no metric result
-- inputs:   mart.metric_result; $week_end (exclusive end of the week, UTC)
-- time:     the newest day in the seven days after the week, so that an old report stays what it was;
--           else the first day after that; else the newest there is (the week is then incomplete)
SELECT coalesce(
  max(as_of) FILTER (WHERE as_of >= $week_end AND as_of < $week_end + INTERVAL 7 DAY),
  min(as_of) FILTER (WHERE as_of >= $week_end + INTERVAL 7 DAY),
  max(as_of)
) AS as_of
FROM mart.metric_result
