-- relation: the devices a reader may choose
-- grain:    one device of $clinic
-- inputs:   core.device; $every_clinic, $clinic_ids: the reader's scope
-- time:     as last registered
SELECT clinic_id, device_id
FROM core.device
WHERE clinic_id = $clinic AND ($every_clinic OR list_contains($clinic_ids, clinic_id))
ORDER BY device_id
