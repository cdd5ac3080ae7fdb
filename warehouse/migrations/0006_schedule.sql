-- 0006: who is due, and which session fell into which window.
-- Both hold pseudonyms, are written by refresh alone, and follow from raw facts: erasure removes a patient from them.

CREATE TABLE mart.patient_due (
  clinic_id VARCHAR,
  patient_key VARCHAR,
  session_id VARCHAR,
  kind VARCHAR,
  last_on DATE,
  due_from DATE,
  due_until DATE,
  state VARCHAR,
  days_overdue INTEGER,
  chance_in_time DOUBLE,
  as_of TIMESTAMPTZ,
  snapshot_id BIGINT
);
COMMENT ON TABLE mart.patient_due IS 'Grain: one patient of a clinic whose next maintenance session may be booked, as of the newest refresh only.';
COMMENT ON COLUMN mart.patient_due.clinic_id IS 'clinic';
COMMENT ON COLUMN mart.patient_due.patient_key IS 'keyed hash of the patient';
COMMENT ON COLUMN mart.patient_due.session_id IS 'session that opened the window';
COMMENT ON COLUMN mart.patient_due.kind IS 'maintenance, or series';
COMMENT ON COLUMN mart.patient_due.last_on IS 'day of that session; UTC';
COMMENT ON COLUMN mart.patient_due.due_from IS 'first day on time; UTC';
COMMENT ON COLUMN mart.patient_due.due_until IS 'last day on time; UTC';
COMMENT ON COLUMN mart.patient_due.state IS 'due, at risk (few who waited as long came in time) or overdue';
COMMENT ON COLUMN mart.patient_due.days_overdue IS 'days after due_until; 0 before';
COMMENT ON COLUMN mart.patient_due.chance_in_time IS 'chance to come by due_until, from earlier patients who had waited as long; null where none was followed so far';
COMMENT ON COLUMN mart.patient_due.as_of IS 'what was known up to then; UTC';
COMMENT ON COLUMN mart.patient_due.snapshot_id IS 'warehouse snapshot it was computed from';

CREATE TABLE mart.patient_window (
  clinic_id VARCHAR,
  patient_key VARCHAR,
  course INTEGER,
  session_id VARCHAR,
  session_number INTEGER,
  kind VARCHAR,
  opened_on DATE,
  due_from DATE,
  due_until DATE,
  next_session_id VARCHAR,
  returned_on DATE,
  days_to_return INTEGER,
  replaced_on DATE,
  breaks_on DATE
);
COMMENT ON TABLE mart.patient_window IS 'Grain: one visit of a patient, and the window that it opened for the next: which session fell into which window. Courses are rebuilt by the rules of warehouse.metrics.courses.';
COMMENT ON COLUMN mart.patient_window.clinic_id IS 'clinic';
COMMENT ON COLUMN mart.patient_window.patient_key IS 'keyed hash of the patient';
COMMENT ON COLUMN mart.patient_window.course IS 'course of the patient, from 1';
COMMENT ON COLUMN mart.patient_window.session_id IS 'session that opened the window';
COMMENT ON COLUMN mart.patient_window.session_number IS 'its number in the course, from 1';
COMMENT ON COLUMN mart.patient_window.kind IS 'series, or maintenance';
COMMENT ON COLUMN mart.patient_window.opened_on IS 'day of the session; UTC';
COMMENT ON COLUMN mart.patient_window.due_from IS 'first day on which the next session is on time; UTC';
COMMENT ON COLUMN mart.patient_window.due_until IS 'last day on which the next session is on time; UTC';
COMMENT ON COLUMN mart.patient_window.next_session_id IS 'session that fell into it, early and late ones too; null while none did';
COMMENT ON COLUMN mart.patient_window.returned_on IS 'day of that session; UTC';
COMMENT ON COLUMN mart.patient_window.days_to_return IS 'days between both';
COMMENT ON COLUMN mart.patient_window.replaced_on IS 'day on which a course for another indication began; UTC';
COMMENT ON COLUMN mart.patient_window.breaks_on IS 'first day on which a session is a new course; UTC';
