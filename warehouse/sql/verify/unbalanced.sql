-- Grain: one ledger row that does not add up in itself.
SELECT
  format('batch {} of {}/{}: consumed {} is not landed {} + duplicate {} + quarantined {}, or its offsets {} to {} '
    || 'are not consumed + skipped {}', batch_id, topic, "partition", consumed, landed, duplicate, quarantined,
    first_offset, next_offset, skipped) AS detail
FROM landing.batch
WHERE consumed <> landed + duplicate + quarantined OR next_offset - first_offset <> consumed + skipped
ORDER BY detail
