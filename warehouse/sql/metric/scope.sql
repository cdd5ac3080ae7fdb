-- temp.scope: once per refresh.
-- grain:    one thing a metric can be about: the network, a clinic, a protocol
-- inputs:   core.clinic, core.protocol, core.device, temp.session_outcome
-- time:     latest truth; a clinic or protocol that has data but is not registered (yet) counts too

CREATE OR REPLACE TEMP TABLE scope AS
WITH seen AS MATERIALIZED (SELECT DISTINCT clinic_id, protocol_id FROM temp.session_outcome)
SELECT 'network' AS scope, 'network' AS scope_id
UNION
SELECT 'clinic', clinic_id FROM core.clinic
UNION
SELECT 'clinic', clinic_id FROM core.device
UNION
SELECT 'clinic', clinic_id FROM seen
UNION
SELECT 'protocol', protocol_id FROM core.protocol
UNION
SELECT 'protocol', protocol_id FROM seen
