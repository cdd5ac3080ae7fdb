-- rows for: refresh
-- grain:    one row: are there pairs of that day already? Fitting their prior takes longer than all else, so that
--           they are found once a day
-- inputs:   mart.reported_pair
-- time:     [$day, $day + 24 hours)

SELECT count(*) > 0 AS found FROM mart.reported_pair WHERE as_of >= $day AND as_of < $day + to_hours(24)
