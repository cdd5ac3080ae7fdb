-- landing.progress. Grain: one topic-partition. Where landing resumes.
SELECT topic, "partition", next_offset FROM landing.progress
