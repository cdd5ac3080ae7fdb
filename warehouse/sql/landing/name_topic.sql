-- landing.progress. The topic's id, where it was not known yet.
UPDATE landing.progress SET topic_id = $topic_id WHERE topic = $topic AND topic_id IS NULL
