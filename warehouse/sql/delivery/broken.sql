-- relation: deliveries whose books do not hold (SQLite: the send ledger)
-- grain:    one finding
-- inputs:   delivery, delivery_event
-- time:     now
SELECT delivery.id || ' is ' || delivery.state || ', its last step says ' ||
  coalesce((SELECT state FROM delivery_event WHERE id = delivery.id ORDER BY number DESC LIMIT 1), 'nothing') AS detail
FROM delivery
WHERE delivery.state IS NOT (SELECT state FROM delivery_event WHERE id = delivery.id ORDER BY number DESC LIMIT 1)
UNION ALL
SELECT id || ' has ' || count(*) || ' steps, the last is number ' || max(number)
FROM delivery_event
GROUP BY id
HAVING count(*) <> max(number)
UNION ALL
SELECT DISTINCT id || ' has steps and is no delivery'
FROM delivery_event
WHERE id NOT IN (SELECT id FROM delivery)
ORDER BY detail
