-- rows for: refresh
-- grain:    one row: was it looked what the checks of landed events find, less than an hour before? To look reads every
--           session and what followed
-- inputs:   mart.data_quality
-- time:     ($as_of - 1 hour, $as_of]

SELECT count(*) > 0 AS found FROM mart.data_quality WHERE as_of > $as_of - to_hours(1) AND as_of <= $as_of
