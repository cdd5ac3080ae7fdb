-- landing.batch. The ledger of a topic that was deleted and made anew is closed under its former id.
UPDATE landing.batch SET former_topic_id = $former WHERE topic = $topic AND former_topic_id IS NULL
