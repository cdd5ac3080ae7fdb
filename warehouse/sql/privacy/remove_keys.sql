-- landing.event_key loses the keys of the removed events: the tombstones refuse them from now on.
DELETE FROM landing.event_key
WHERE key_hash IN (SELECT md5_number_lower(concat(source, chr(31), id)) FROM person_event)
