-- schema raw of the current catalog, the slice: tables with all facts that decide about the patients of
-- temp.changed, and the registries. The views of core, made there from their own files, give for these patients
-- what they give in the warehouse.
-- inputs:   raw tables, temp.fact, temp.changed
-- time:     all
-- A fact is in it if it is about such a patient or session, states the same thing as such a fact (whoever the patient
-- is there), or supersedes any of these.

CREATE SCHEMA raw;
CREATE SCHEMA core;

CREATE OR REPLACE TEMP TABLE about AS
SELECT hash(kind, clinic_id, entity) AS thing
FROM temp.fact
WHERE kind IN ('session', 'assessment') AND hash(clinic_id, patient_key) IN (SELECT patient FROM temp.changed);

INSERT INTO temp.about
SELECT hash(kind, clinic_id, entity)
FROM temp.fact
WHERE kind IN ('follow-up', 'sign') AND session_id IS NOT NULL
  AND hash('session', clinic_id, session_id) IN (SELECT thing FROM temp.about);

CREATE OR REPLACE TEMP TABLE pick AS
SELECT hash(kind, clinic_id, entity) AS thing, hash(source, id) AS name
FROM temp.fact
WHERE kind IN ('session', 'follow-up', 'sign', 'assessment')
  AND hash(kind, clinic_id, entity) IN (SELECT thing FROM temp.about);

CREATE TABLE raw.session_completed AS
SELECT * EXCLUDE (landed_at, batch_id, content_hash)
FROM dermastream.raw.session_completed
WHERE hash('session', clinic_id, session_id) IN (SELECT thing FROM temp.pick)
  OR (supersedes IS NOT NULL AND hash(source, supersedes) IN (SELECT name FROM temp.pick));

CREATE TABLE raw.follow_up_completed AS
SELECT * EXCLUDE (landed_at, batch_id, content_hash)
FROM dermastream.raw.follow_up_completed
WHERE hash('follow-up', clinic_id, follow_up_id) IN (SELECT thing FROM temp.pick)
  OR (supersedes IS NOT NULL AND hash(source, supersedes) IN (SELECT name FROM temp.pick));

CREATE TABLE raw.adverse_event_reported AS
SELECT * EXCLUDE (landed_at, batch_id, content_hash)
FROM dermastream.raw.adverse_event_reported
WHERE hash('sign', clinic_id, adverse_event_id) IN (SELECT thing FROM temp.pick)
  OR (supersedes IS NOT NULL AND hash(source, supersedes) IN (SELECT name FROM temp.pick));

CREATE TABLE raw.adverse_event_updated AS
SELECT * EXCLUDE (landed_at, batch_id, content_hash)
FROM dermastream.raw.adverse_event_updated
WHERE hash('sign', clinic_id, adverse_event_id) IN (SELECT thing FROM temp.pick)
  OR (supersedes IS NOT NULL AND hash(source, supersedes) IN (SELECT name FROM temp.pick));

CREATE TABLE raw.expected_reaction_observed AS
SELECT * EXCLUDE (landed_at, batch_id, content_hash)
FROM dermastream.raw.expected_reaction_observed
WHERE hash('sign', clinic_id, reaction_id) IN (SELECT thing FROM temp.pick)
  OR (supersedes IS NOT NULL AND hash(source, supersedes) IN (SELECT name FROM temp.pick));

CREATE TABLE raw.adverse_event_resolved AS
SELECT * EXCLUDE (landed_at, batch_id, content_hash)
FROM dermastream.raw.adverse_event_resolved
WHERE hash('sign', clinic_id, adverse_event_id) IN (SELECT thing FROM temp.pick)
  OR (supersedes IS NOT NULL AND hash(source, supersedes) IN (SELECT name FROM temp.pick));

CREATE TABLE raw.assessment_recorded AS
SELECT * EXCLUDE (landed_at, batch_id, content_hash)
FROM dermastream.raw.assessment_recorded
WHERE hash('assessment', clinic_id, assessment_id) IN (SELECT thing FROM temp.pick)
  OR (supersedes IS NOT NULL AND hash(source, supersedes) IN (SELECT name FROM temp.pick));

CREATE TABLE raw.event_voided AS FROM dermastream.raw.event_voided;
CREATE TABLE raw.device_registered AS FROM dermastream.raw.device_registered;
CREATE TABLE raw.protocol_published AS FROM dermastream.raw.protocol_published;
