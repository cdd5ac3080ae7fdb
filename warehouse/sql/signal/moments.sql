-- relation: what happened to signals lately that people must hear of, and where each of those signals stands
-- grain:    one event of a signal since $since, and the newest opening of every signal that is not over
-- inputs:   mart.signal_event, mart.signal
-- time:     events up to $now; in order of happening
SELECT
  event.signal_id, event.number, event.kind, event.happened_at, event.metric_id, event.metric_version,
  event.scope, event.scope_id, event.flag, event.value, event.q, signal.status, signal.owner,
  signal.snoozed_until,
  event.happened_at >= $since AS lately,
  event.number = max(event.number) FILTER (event.kind IN ('opened', 'reopened'))
    OVER (PARTITION BY event.signal_id) AS begins
FROM mart.signal_event AS event
JOIN mart.signal AS signal USING (signal_id)
WHERE event.kind IN ('opened', 'reopened', 'cleared', 'closed') AND event.happened_at <= $now
QUALIFY lately OR (begins AND signal.status IN ('open', 'acknowledged'))
ORDER BY event.happened_at, event.signal_id, event.number
