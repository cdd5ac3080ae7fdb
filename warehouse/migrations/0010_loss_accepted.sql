-- What Kafka no longer holds and was never landed: landing stops there until a person accepts the loss.
ALTER TABLE landing.batch ADD COLUMN former_topic_id VARCHAR;
COMMENT ON COLUMN landing.batch.former_topic_id IS 'Kafka''s id of the topic that these offsets belonged to, since deleted and made anew; null: the topic as it is';
CREATE TABLE landing.accepted_loss (
  topic VARCHAR,
  "partition" INTEGER,
  first_offset BIGINT,
  next_offset BIGINT,
  accepted_by VARCHAR,
  reason VARCHAR,
  accepted_at TIMESTAMPTZ
);
COMMENT ON TABLE landing.accepted_loss IS 'Grain: one stretch of a topic-partition that was gone from Kafka before it was landed, and by whom the loss was accepted. Append-only.';
COMMENT ON COLUMN landing.accepted_loss.topic IS 'Kafka topic';
COMMENT ON COLUMN landing.accepted_loss."partition" IS 'partition';
COMMENT ON COLUMN landing.accepted_loss.first_offset IS 'first offset that was not landed';
COMMENT ON COLUMN landing.accepted_loss.next_offset IS 'offset after the last one lost; null: the topic was deleted, nobody knows how much it still held';
COMMENT ON COLUMN landing.accepted_loss.accepted_by IS 'who';
COMMENT ON COLUMN landing.accepted_loss.reason IS 'why it was lost, in their words';
COMMENT ON COLUMN landing.accepted_loss.accepted_at IS 'when; UTC';
