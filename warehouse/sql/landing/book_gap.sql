-- landing.batch. The offsets of an accepted loss, booked as skipped: the ledger has no gap.
INSERT INTO landing.batch BY NAME
SELECT
  $batch_id AS batch_id, $topic AS topic, $partition AS "partition", $first_offset AS first_offset,
  $next_offset AS next_offset, 0 AS consumed, 0 AS landed, 0 AS duplicate, 0 AS quarantined,
  $next_offset - $first_offset AS skipped, NULL AS newest_received_at, $at AS started_at, $at AS landed_at,
  $by AS worker
