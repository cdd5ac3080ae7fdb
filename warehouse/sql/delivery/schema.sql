-- The send ledger, an SQLite file beside the lake. relation: delivery. grain: one thing for one recipient, once
-- per (channel, kind, period, scope, recipient, revision): the key that makes a second sending impossible.
-- Moments are seconds since 1970, UTC. `content` says where what is sent comes from, never a person's data.
CREATE TABLE IF NOT EXISTS delivery (
  id TEXT PRIMARY KEY,
  channel TEXT NOT NULL,     -- mail or webhook
  kind TEXT NOT NULL,        -- weekly, delayed, signal, digest, test
  period TEXT NOT NULL,      -- ISO week, or a signal's event
  scope TEXT NOT NULL,       -- network, or clinic-<id>
  recipient TEXT NOT NULL,   -- account, or name of a webhook
  revision INTEGER NOT NULL,
  content TEXT NOT NULL,     -- archived document, or JSON to send
  state TEXT NOT NULL CHECK (state IN
    ('planned', 'rendered', 'handed over', 'accepted', 'failed', 'unknown', 'withheld')),
  digest TEXT,               -- SHA-256 of the bytes sent; null before they are rendered
  attempts INTEGER NOT NULL DEFAULT 0,
  planned_at REAL NOT NULL,
  not_before REAL NOT NULL,  -- earliest next attempt
  claimed_by TEXT,           -- worker at it; null: nobody
  claimed_until REAL NOT NULL DEFAULT 0,
  UNIQUE (channel, kind, period, scope, recipient, revision)
) STRICT;

CREATE INDEX IF NOT EXISTS delivery_waiting ON delivery (not_before) WHERE state IN ('planned', 'rendered');

-- relation: delivery_event. grain: one step of one delivery; append-only.
CREATE TABLE IF NOT EXISTS delivery_event (
  id TEXT NOT NULL REFERENCES delivery,
  number INTEGER NOT NULL,   -- from 1
  at REAL NOT NULL,
  state TEXT NOT NULL,
  actor TEXT NOT NULL,       -- worker or person
  detail TEXT NOT NULL,      -- the other side's answer, or a person's reason
  PRIMARY KEY (id, number)
) STRICT, WITHOUT ROWID;

-- relation: recipient. grain: one account that gets mail. Who an account is and what it may see is in the accounts.
CREATE TABLE IF NOT EXISTS recipient (
  account TEXT PRIMARY KEY,
  address TEXT NOT NULL,
  weekly INTEGER NOT NULL,
  signals INTEGER NOT NULL,
  paused_until REAL,         -- null: not paused
  bounced TEXT               -- the mail server's refusal; null: none
) STRICT;

-- relation: expected. grain: one edition of one week that is due: made when its hour comes, ended when it is issued.
CREATE TABLE IF NOT EXISTS expected (
  week TEXT NOT NULL,
  scope TEXT NOT NULL,       -- network, or clinic-<id>
  since REAL NOT NULL,
  ended_at REAL,             -- null: not issued yet
  PRIMARY KEY (week, scope)
) STRICT, WITHOUT ROWID;

-- relation: restored. grain: one time that this ledger was put back from a backup. What happened before may have been
-- sent by the ledger that was lost.
CREATE TABLE IF NOT EXISTS restored (
  made_at REAL NOT NULL,     -- of the backup
  restored_at REAL NOT NULL
) STRICT;
