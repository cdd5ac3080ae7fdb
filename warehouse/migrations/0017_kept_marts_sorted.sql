-- 0017: rows of the kept marts by month, then clinic, in every file: a year is a third of three years' rows to read,
-- and a clinic is few row groups of each month. Unlike landing a refresh pays for that itself, for it reads the year
-- several times: sql/kept/save.sql inserts in this order. Rows that were there before keep their places until
-- maintenance writes their files again.

ALTER TABLE mart.session_outcome SET SORTED BY (date_trunc('month', completed_at) ASC, clinic_id ASC);
ALTER TABLE mart.session_sign SET SORTED BY (date_trunc('month', occurred_at) ASC, clinic_id ASC);
ALTER TABLE mart.patient_assessment SET SORTED BY (date_trunc('month', occurred_at) ASC, clinic_id ASC);
ALTER TABLE mart.patient_window SET SORTED BY (date_trunc('month', opened_on) ASC, clinic_id ASC);
ALTER TABLE mart.patient_course SET SORTED BY (date_trunc('month', last_on) ASC, clinic_id ASC);
