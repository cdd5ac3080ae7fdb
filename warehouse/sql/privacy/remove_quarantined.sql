-- landing.quarantine loses one refused event that mentions the person.
DELETE FROM landing.quarantine WHERE topic = $topic AND "partition" = $partition AND "offset" = $offset
