-- relation: what happened to one signal
-- grain:    one event of $signal_id, in order
-- inputs:   mart.signal_event
-- time:     all

FROM mart.signal_event
WHERE signal_id = $signal_id
ORDER BY number
