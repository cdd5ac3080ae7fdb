-- relation: core.patient_assessment
-- grain:    one assessment of a patient on the Global Aesthetic Improvement Scale
-- inputs:   core.assessment
-- time:     latest truth; a reader cuts occurred_at at its own as_of
-- kept as:  mart.patient_assessment, by patient

CREATE OR REPLACE VIEW core.patient_assessment AS
SELECT clinic_id, assessment_id, patient_key, session_id, score, rater, occurred_at
FROM core.assessment
WHERE scale = 'gais';

COMMENT ON VIEW core.patient_assessment IS 'Grain: one score of a patient on the Global Aesthetic Improvement Scale, 1 (very much improved) to 5 (worse), corrections applied.';
