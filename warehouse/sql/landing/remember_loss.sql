-- landing.accepted_loss. Grain: one stretch that is lost, and who accepted that.
INSERT INTO landing.accepted_loss BY NAME
SELECT
  $topic AS topic, $partition AS "partition", $first_offset AS first_offset, $next_offset AS next_offset,
  $by AS accepted_by, $reason AS reason, $at AS accepted_at
