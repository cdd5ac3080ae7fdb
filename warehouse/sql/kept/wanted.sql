-- temp.wanted: what a touched fact makes us look for: the fact it supersedes, the fact it voids, other statements
-- of the same thing, and the session it is about. What supersedes a touched fact stood before and is not wanted.
-- grain:    one kind of fact and key, of a fact's name or of the thing that facts state; a key is a hash, so that a
--           chance clash only recomputes one patient more
-- inputs:   temp.touched
-- time:     -

CREATE OR REPLACE TEMP VIEW wanted AS
SELECT kind, 'name' AS found_by, hash(source, supersedes) AS key FROM temp.touched WHERE supersedes IS NOT NULL
UNION
SELECT unnest(['session', 'follow-up', 'sign', 'assessment', 'void', 'device', 'protocol']) AS kind, 'name',
  hash(source, voided_id) AS key
FROM temp.touched WHERE voided_id IS NOT NULL
UNION
SELECT kind, 'thing', hash(clinic_id, entity) FROM temp.touched
WHERE kind IN ('session', 'follow-up', 'sign', 'assessment')
UNION
SELECT 'session', 'thing', hash(clinic_id, session_id) FROM temp.touched WHERE session_id IS NOT NULL
