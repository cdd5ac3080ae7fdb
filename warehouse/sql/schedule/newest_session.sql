-- rows for: refresh
-- grain:    one row: when the newest session was completed; null without sessions
-- inputs:   temp.session_outcome
-- time:     all

SELECT max(completed_at) AS completed_at FROM temp.session_outcome
