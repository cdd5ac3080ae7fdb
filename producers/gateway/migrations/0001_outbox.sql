-- relation: event. grain: one event accepted, once per (source, id).
-- `position` is the order in which events were accepted; it is never used again, even after rows are deleted.
-- Its digest recognises a repetition after the content has gone.
CREATE TABLE event (
  position INTEGER PRIMARY KEY AUTOINCREMENT,
  source TEXT NOT NULL,
  id TEXT NOT NULL,
  topic TEXT NOT NULL,
  key BLOB NOT NULL,
  digest BLOB NOT NULL,
  accepted_at REAL NOT NULL, -- seconds since 1970, UTC
  sent_at REAL,              -- null until the broker has acknowledged it
  UNIQUE (source, id)
) STRICT;

CREATE INDEX event_unsent ON event (position) WHERE sent_at IS NULL;
CREATE INDEX event_sent ON event (sent_at) WHERE sent_at IS NOT NULL;

-- relation: content. grain: one event whose content is still here; every unsent one. A table of its own, so that
-- dropping it gives whole pages back.
CREATE TABLE content (position INTEGER PRIMARY KEY, value BLOB NOT NULL) STRICT;

-- relation: tally. grain: one row. Events accepted and sent over the outbox's life, moved in the same transaction
-- as the events, so that the depth needs no counting.
CREATE TABLE tally (accepted INTEGER NOT NULL, sent INTEGER NOT NULL) STRICT;
INSERT INTO tally VALUES (0, 0);

-- relation: mark. grain: one named fact about this outbox, such as a patient key's fingerprint.
CREATE TABLE mark (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
