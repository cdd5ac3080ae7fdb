-- temp.visit: core.patient_visit once per refresh, because four statements read it and it joins, sorts and ranks.
-- grain:    one session of a patient of a clinic
-- inputs:   core.patient_visit
-- time:     latest truth; every reader cuts at $as_of

CREATE OR REPLACE TEMP TABLE visit AS FROM core.patient_visit
