-- A topic that was deleted and made anew has the old name and other offsets: its id tells.
ALTER TABLE landing.progress ADD COLUMN topic_id VARCHAR;
COMMENT ON COLUMN landing.progress.topic_id IS 'Kafka''s id of the topic when landing began to read it; null before it was known';
