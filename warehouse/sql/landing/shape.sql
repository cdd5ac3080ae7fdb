-- The data columns of raw.<table>, in order: everything that is not the envelope.
SELECT column_name, data_type
FROM information_schema.columns
WHERE table_catalog = 'dermastream' AND table_schema = 'raw' AND table_name = $table
  AND column_name NOT IN (
    'source', 'id', 'clinic_id', 'occurred_at', 'received_at', 'landed_at', 'batch_id', 'content_hash',
    'supersedes'
  )
ORDER BY ordinal_position
