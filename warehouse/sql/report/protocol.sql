-- relation: the protocols the network edition names
-- grain:    one protocol
-- inputs:   mart.protocol
-- time:     newest version
SELECT protocol_id, version, indication
FROM mart.protocol
ORDER BY protocol_id
