-- rows for: refresh
-- grain:    one row: when the newest session was completed, perhaps one that was withdrawn just now; null without
--           sessions
-- inputs:   mart.session_outcome, temp.fresh_session_outcome
-- time:     all

SELECT greatest(
  (SELECT max(completed_at) FROM mart.session_outcome), (SELECT max(completed_at) FROM temp.fresh_session_outcome)
) AS completed_at
