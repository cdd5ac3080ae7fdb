-- relation: cartridge lots that a clinic threw away because they were recalled
-- grain:    one day and lot
-- inputs:   raw.cartridge_discarded, core.voided; $clinic; $start, $as_of: in [start, as_of); $every_clinic, $clinic_ids:
--           the reader's scope
-- time:     by the clinic's clock, UTC days
SELECT discarded.occurred_at::DATE AS on_day, 'recall' AS kind, discarded.cartridge_lot AS what,
  string_agg(DISTINCT discarded.device_id, ', ' ORDER BY discarded.device_id) AS subjects
FROM raw.cartridge_discarded AS discarded
WHERE discarded.reason = 'recalled' AND discarded.clinic_id = $clinic
  AND discarded.occurred_at >= $start AND discarded.occurred_at < $as_of
  AND ($every_clinic OR list_contains($clinic_ids, discarded.clinic_id))
  AND NOT EXISTS (FROM core.voided WHERE voided.source = discarded.source AND voided.voided_id = discarded.id)
GROUP BY ALL
ORDER BY on_day DESC, what
