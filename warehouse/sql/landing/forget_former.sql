-- landing.progress. A topic made anew is read like one never seen: from its first offset.
DELETE FROM landing.progress WHERE topic = $topic
