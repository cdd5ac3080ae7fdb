-- relation: core.voided
-- grain:    one event of a source that was declared never to have happened
-- inputs:   raw.event_voided
-- time:     latest truth; the order of arrival does not matter

CREATE OR REPLACE VIEW core.voided AS
WITH statement AS MATERIALIZED (
  SELECT source, id, voided_id FROM raw.event_voided
)
SELECT DISTINCT
  statement.source,
  statement.voided_id
FROM statement
-- A void entered by mistake can be voided itself; a mistake about that mistake is not followed further.
WHERE NOT EXISTS (
  FROM statement AS later
  WHERE later.source = statement.source AND later.voided_id = statement.id AND later.id <> statement.id
);

COMMENT ON VIEW core.voided IS 'Grain: one withdrawn event. What it had superseded stands again, because the correction never happened.';
