-- relation: mart.clinic
-- grain:    one clinic
-- inputs:   core.clinic
-- time:     as last registered

CREATE OR REPLACE VIEW mart.clinic AS
SELECT clinic_id, display_name, time_zone, locale, opened_on FROM core.clinic;

COMMENT ON VIEW mart.clinic IS 'Grain: one clinic; time_zone is an IANA name, locale a BCP 47 tag.';
