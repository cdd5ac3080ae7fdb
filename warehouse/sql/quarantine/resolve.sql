-- landing.quarantine: events that wait, to their end. Input: resolved (the events and what became of each).
UPDATE landing.quarantine
SET resolution = resolved.resolution, resolved_at = $resolved_at, resolved_by = $resolved_by,
  resolution_note = $resolution_note
FROM resolved
WHERE quarantine.topic = resolved.topic
  AND quarantine."partition" = resolved."partition"
  AND quarantine."offset" = resolved."offset"
  AND quarantine.resolution IS NULL
