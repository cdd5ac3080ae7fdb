-- temp.session_outcome: every session as it is known now, where no refresh has laid out the kept marts.
-- grain:    one session of a clinic
-- inputs:   core.session_outcome
-- time:     latest truth; every reader cuts at $as_of
CREATE OR REPLACE TEMP VIEW session_outcome AS FROM core.session_outcome
