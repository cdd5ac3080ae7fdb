-- raw.TABLE. Grain: one accepted event, not seen before. Its data decoded by the table's own columns;
-- an absent optional field is null. Types cannot fail here: the typed decoder has accepted the event.
INSERT INTO raw.TABLE BY NAME
SELECT
  source, id, clinic_id, occurred_at, received_at, $landed_at AS landed_at, $batch_id AS batch_id,
  content_hash, supersedes, unnest(json_transform(value::JSON -> '$.data', 'SHAPE'))
FROM incoming ANTI JOIN unwanted USING (part, "offset")
WHERE "table" = 'TABLE'
