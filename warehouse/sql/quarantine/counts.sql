-- Waiting quarantined events by topic and rule. Grain: one topic and rule. Input: landing.quarantine.
SELECT
  topic, rule, count(*) AS events, min(received_at) AS oldest_received_at, max(received_at) AS newest_received_at
FROM landing.quarantine
WHERE resolution IS NULL
GROUP BY topic, rule
ORDER BY events DESC, topic, rule
