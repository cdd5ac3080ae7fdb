-- temp.followed: once per refresh.
-- grain:    one session of a clinic with at least one completed follow-up; first_at is the first of them
-- inputs:   core.follow_up
-- time:     latest truth; every reader cuts at $as_of

CREATE OR REPLACE TEMP TABLE followed AS
SELECT clinic_id, session_id, min(occurred_at) AS first_at FROM core.follow_up GROUP BY clinic_id, session_id
