-- relation: core.scope
-- grain:    one thing a metric can be about: the network, a clinic, a protocol
-- inputs:   core.clinic, core.protocol, core.session, core.device
-- time:     latest truth; a clinic or protocol that has data but is not registered (yet) counts too

CREATE OR REPLACE VIEW core.scope AS
SELECT 'network' AS scope, 'network' AS scope_id
UNION
SELECT 'clinic', clinic_id FROM core.clinic
UNION
SELECT 'clinic', clinic_id FROM core.session
UNION
SELECT 'clinic', clinic_id FROM core.device
UNION
SELECT 'protocol', protocol_id FROM core.protocol
UNION
SELECT 'protocol', protocol_id FROM core.session;

COMMENT ON VIEW core.scope IS 'Grain: one scope of metric results: network, clinic or protocol.';
