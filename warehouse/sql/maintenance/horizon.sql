-- landing.horizon. From now on nothing of $relation that occurred before $before may land.
INSERT INTO landing.horizon VALUES ($relation, $before, $now)
