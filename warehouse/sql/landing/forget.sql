-- What a batch leaves in the session's temporary schema; in one transaction, since each costs a millisecond.
BEGIN;
DROP TABLE IF EXISTS temp.keys;
DROP TABLE IF EXISTS temp.known;
DROP TABLE IF EXISTS temp.suspect;
DROP TABLE IF EXISTS temp.history;
DROP TABLE IF EXISTS temp.aged;
DROP TABLE IF EXISTS temp.unwanted;
COMMIT;
