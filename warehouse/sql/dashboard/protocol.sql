-- relation: the protocols a reader may see results of
-- grain:    one protocol
-- inputs:   mart.protocol; $every_clinic: only such a reader, since a protocol may be run by one clinic alone
-- time:     newest version
SELECT protocol_id, version, indication
FROM mart.protocol
WHERE $every_clinic
ORDER BY protocol_id
