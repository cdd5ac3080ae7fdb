-- landing.event_key loses the keys of what left raw.<$table>; landing.horizon refuses those events from now on.
DELETE FROM landing.event_key WHERE "table" = $table AND occurred_at < $before
