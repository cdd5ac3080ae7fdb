-- relation: event. grain: one event accepted, once per (source, id).
-- `position` is the order in which events were accepted; it is never used again, even after rows are deleted.
-- `value` is null once a sent event's content has been dropped; its digest still recognises a repetition.
CREATE TABLE event (
  position INTEGER PRIMARY KEY AUTOINCREMENT,
  source TEXT NOT NULL,
  id TEXT NOT NULL,
  topic TEXT NOT NULL,
  key BLOB NOT NULL,
  value BLOB,
  digest BLOB NOT NULL,
  accepted_at REAL NOT NULL, -- seconds since 1970, UTC
  sent_at REAL,              -- null until the broker has acknowledged it
  UNIQUE (source, id),
  CHECK (value IS NOT NULL OR sent_at IS NOT NULL)
) STRICT;

CREATE INDEX event_unsent ON event (position) WHERE sent_at IS NULL;
CREATE INDEX event_sent ON event (sent_at) WHERE sent_at IS NOT NULL;
CREATE INDEX event_content ON event (sent_at) WHERE sent_at IS NOT NULL AND value IS NOT NULL;

-- relation: tally. grain: one row. Events accepted and sent over the outbox's life, moved in the same transaction
-- as the events, so that the depth needs no counting.
CREATE TABLE tally (accepted INTEGER NOT NULL, sent INTEGER NOT NULL) STRICT;
INSERT INTO tally VALUES (0, 0);

-- relation: mark. grain: one named fact about this outbox, such as a patient key's fingerprint.
CREATE TABLE mark (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
