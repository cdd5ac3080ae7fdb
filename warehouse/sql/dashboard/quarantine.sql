-- relation: refused events that wait, by topic and rule; never what stands in them
-- grain:    one topic and rule
-- inputs:   landing.quarantine; only for readers of all clinics, since whose a refused event is may be unknown
-- time:     as now
SELECT topic, rule, any_value(detail) AS detail, count(*) AS events, min(received_at) AS oldest_received_at,
  max(received_at) AS newest_received_at
FROM landing.quarantine
WHERE resolution IS NULL AND $every_clinic
GROUP BY topic, rule
ORDER BY events DESC, topic, rule
