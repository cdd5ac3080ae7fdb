-- schema raw of the current catalog, the slice: tables with all facts that decide about the sessions of
-- temp.changed_session and the assessments of temp.changed_assessment, and the registries. The views of core, made there
-- from their own files, give for these what they give in the warehouse.
-- inputs:   raw tables, temp.fact, temp.touched (complete), temp.changed_session
-- time:     all; the facts of a day's changes are mostly of the last weeks, so that what is older than the oldest of
--           them is not read
-- A fact is in it if it states such a session or assessment, a follow-up or sign that was said to be about such a
-- session (whichever it is about here), or supersedes any of these.

CREATE SCHEMA raw;
CREATE SCHEMA core;

CREATE OR REPLACE TEMP TABLE about AS
SELECT hash(kind, clinic_id, entity) AS thing, min(occurred_at) AS since
FROM temp.touched
WHERE kind IN ('session', 'assessment')
GROUP BY ALL
UNION ALL
SELECT hash(kind, clinic_id, entity), min(occurred_at)
FROM temp.fact
WHERE kind IN ('follow-up', 'sign') AND session_id IS NOT NULL
  AND hash(clinic_id, session_id) IN (SELECT session FROM temp.changed_session)
GROUP BY ALL;

SET VARIABLE oldest_picked = least(
  (SELECT min(since) FROM temp.about),
  (
    SELECT min(occurred_at)
    FROM temp.fact
    WHERE kind IN ('follow-up', 'sign') AND hash(kind, clinic_id, entity) IN (SELECT thing FROM temp.about)
  )
);

CREATE TABLE raw.session_completed AS
SELECT * EXCLUDE (landed_at, batch_id, content_hash)
FROM dermastream.raw.session_completed
WHERE occurred_at >= getvariable('oldest_picked')
  AND hash('session', clinic_id, session_id) IN (SELECT thing FROM temp.about);

CREATE TABLE raw.follow_up_completed AS
SELECT * EXCLUDE (landed_at, batch_id, content_hash)
FROM dermastream.raw.follow_up_completed
WHERE occurred_at >= getvariable('oldest_picked')
  AND hash('follow-up', clinic_id, follow_up_id) IN (SELECT thing FROM temp.about);

CREATE TABLE raw.adverse_event_reported AS
SELECT * EXCLUDE (landed_at, batch_id, content_hash)
FROM dermastream.raw.adverse_event_reported
WHERE occurred_at >= getvariable('oldest_picked')
  AND hash('sign', clinic_id, adverse_event_id) IN (SELECT thing FROM temp.about);

CREATE TABLE raw.adverse_event_updated AS
SELECT * EXCLUDE (landed_at, batch_id, content_hash)
FROM dermastream.raw.adverse_event_updated
WHERE occurred_at >= getvariable('oldest_picked')
  AND hash('sign', clinic_id, adverse_event_id) IN (SELECT thing FROM temp.about);

CREATE TABLE raw.expected_reaction_observed AS
SELECT * EXCLUDE (landed_at, batch_id, content_hash)
FROM dermastream.raw.expected_reaction_observed
WHERE occurred_at >= getvariable('oldest_picked')
  AND hash('sign', clinic_id, reaction_id) IN (SELECT thing FROM temp.about);

CREATE TABLE raw.adverse_event_resolved AS
SELECT * EXCLUDE (landed_at, batch_id, content_hash)
FROM dermastream.raw.adverse_event_resolved
WHERE occurred_at >= getvariable('oldest_picked')
  AND hash('sign', clinic_id, adverse_event_id) IN (SELECT thing FROM temp.about);

CREATE TABLE raw.assessment_recorded AS
SELECT * EXCLUDE (landed_at, batch_id, content_hash)
FROM dermastream.raw.assessment_recorded
WHERE occurred_at >= getvariable('oldest_picked')
  AND hash('assessment', clinic_id, assessment_id) IN (SELECT thing FROM temp.about);

CREATE OR REPLACE TEMP TABLE pick AS
SELECT hash(source, id) AS name FROM raw.session_completed
UNION ALL
SELECT hash(source, id) AS name FROM raw.follow_up_completed
UNION ALL
SELECT hash(source, id) AS name FROM raw.adverse_event_reported
UNION ALL
SELECT hash(source, id) AS name FROM raw.adverse_event_updated
UNION ALL
SELECT hash(source, id) AS name FROM raw.expected_reaction_observed
UNION ALL
SELECT hash(source, id) AS name FROM raw.adverse_event_resolved
UNION ALL
SELECT hash(source, id) AS name FROM raw.assessment_recorded;

INSERT INTO raw.session_completed
SELECT * EXCLUDE (landed_at, batch_id, content_hash)
FROM dermastream.raw.session_completed
WHERE supersedes IS NOT NULL
  AND hash(source, supersedes) IN (SELECT name FROM temp.pick)
  AND hash('session', clinic_id, session_id) NOT IN (SELECT thing FROM temp.about);

INSERT INTO raw.follow_up_completed
SELECT * EXCLUDE (landed_at, batch_id, content_hash)
FROM dermastream.raw.follow_up_completed
WHERE supersedes IS NOT NULL
  AND hash(source, supersedes) IN (SELECT name FROM temp.pick)
  AND hash('follow-up', clinic_id, follow_up_id) NOT IN (SELECT thing FROM temp.about);

INSERT INTO raw.adverse_event_reported
SELECT * EXCLUDE (landed_at, batch_id, content_hash)
FROM dermastream.raw.adverse_event_reported
WHERE supersedes IS NOT NULL
  AND hash(source, supersedes) IN (SELECT name FROM temp.pick)
  AND hash('sign', clinic_id, adverse_event_id) NOT IN (SELECT thing FROM temp.about);

INSERT INTO raw.adverse_event_updated
SELECT * EXCLUDE (landed_at, batch_id, content_hash)
FROM dermastream.raw.adverse_event_updated
WHERE supersedes IS NOT NULL
  AND hash(source, supersedes) IN (SELECT name FROM temp.pick)
  AND hash('sign', clinic_id, adverse_event_id) NOT IN (SELECT thing FROM temp.about);

INSERT INTO raw.expected_reaction_observed
SELECT * EXCLUDE (landed_at, batch_id, content_hash)
FROM dermastream.raw.expected_reaction_observed
WHERE supersedes IS NOT NULL
  AND hash(source, supersedes) IN (SELECT name FROM temp.pick)
  AND hash('sign', clinic_id, reaction_id) NOT IN (SELECT thing FROM temp.about);

INSERT INTO raw.adverse_event_resolved
SELECT * EXCLUDE (landed_at, batch_id, content_hash)
FROM dermastream.raw.adverse_event_resolved
WHERE supersedes IS NOT NULL
  AND hash(source, supersedes) IN (SELECT name FROM temp.pick)
  AND hash('sign', clinic_id, adverse_event_id) NOT IN (SELECT thing FROM temp.about);

INSERT INTO raw.assessment_recorded
SELECT * EXCLUDE (landed_at, batch_id, content_hash)
FROM dermastream.raw.assessment_recorded
WHERE supersedes IS NOT NULL
  AND hash(source, supersedes) IN (SELECT name FROM temp.pick)
  AND hash('assessment', clinic_id, assessment_id) NOT IN (SELECT thing FROM temp.about);

CREATE TABLE raw.event_voided AS FROM dermastream.raw.event_voided;
CREATE TABLE raw.device_registered AS FROM dermastream.raw.device_registered;
CREATE TABLE raw.protocol_published AS FROM dermastream.raw.protocol_published;
