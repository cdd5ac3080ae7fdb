-- temp.history. Grain: one landed event with the source and id of a suspect.
INSERT INTO history
SELECT source, id, content_hash
FROM raw.TABLE
WHERE occurred_at BETWEEN $first AND $last
  AND (source, id) IN (SELECT source, id FROM suspect)
