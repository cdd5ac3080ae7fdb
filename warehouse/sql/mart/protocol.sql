-- relation: mart.protocol
-- grain:    one protocol, at its newest version
-- inputs:   core.protocol
-- time:     as last published

CREATE OR REPLACE VIEW mart.protocol AS
SELECT protocol_id, version, indication
FROM core.protocol
QUALIFY row_number() OVER (PARTITION BY protocol_id ORDER BY version DESC) = 1;

COMMENT ON VIEW mart.protocol IS 'Grain: one protocol, at its newest version.';
