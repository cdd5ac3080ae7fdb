-- rows for: refresh
-- grain:    one row: are there effects of that day already? They move little within a day, and are found once in it
-- inputs:   mart.shrunken_effect
-- time:     [$day, $day + 24 hours)

SELECT count(*) > 0 AS found FROM mart.shrunken_effect WHERE as_of >= $day AND as_of < $day + to_hours(24)
