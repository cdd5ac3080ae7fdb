-- landing.progress. The first row of a partition that was never landed.
INSERT INTO landing.progress VALUES ($topic, $partition, $next_offset, NULL, $at)
