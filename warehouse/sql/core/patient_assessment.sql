-- relation: core.patient_assessment
-- grain:    one assessment of a patient on any scale
-- inputs:   core.assessment
-- time:     latest truth; a reader cuts occurred_at at its own as_of
-- kept as:  mart.patient_assessment, by patient

CREATE OR REPLACE VIEW core.patient_assessment AS
SELECT clinic_id, assessment_id, patient_key, session_id, score, rater, occurred_at, scale
FROM core.assessment;

COMMENT ON VIEW core.patient_assessment IS 'Grain: one score of a patient on a scale, in the unit of that scale, corrections applied. On gais, the Global Aesthetic Improvement Scale, 1 is very much improved and 5 worse.';
