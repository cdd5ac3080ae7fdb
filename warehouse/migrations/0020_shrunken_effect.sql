-- 0020: clinics and operators by what their patients gain, shrunken by how little is known of each; scores on every
-- scale are kept by patient, not those on one alone (the next refresh builds the kept marts anew).

ALTER TABLE mart.patient_assessment ADD COLUMN scale VARCHAR;
COMMENT ON TABLE mart.patient_assessment IS 'Grain: one score of a patient on a scale; the rows of core.patient_assessment as of mart.kept.snapshot_id.';
COMMENT ON COLUMN mart.patient_assessment.score IS 'in the unit of its scale; on gais 1 (very much improved) to 5 (worse)';
COMMENT ON COLUMN mart.patient_assessment.scale IS 'gais, goodman-baron, satisfaction or vas';

CREATE TABLE mart.shrunken_effect (
  scale VARCHAR,
  depth VARCHAR,
  clinic_id VARCHAR,
  operator VARCHAR,
  sessions BIGINT,
  patients BIGINT,
  value DOUBLE,
  lower DOUBLE,
  upper DOUBLE,
  standardised DOUBLE,
  standardised_lower DOUBLE,
  standardised_upper DOUBLE,
  level DOUBLE,
  adjusted_for VARCHAR,
  method VARCHAR,
  version INTEGER,
  reason VARCHAR,
  as_of TIMESTAMPTZ,
  snapshot_id BIGINT
);
COMMENT ON TABLE mart.shrunken_effect IS 'Grain: one scale and one clinic, or one operator of a clinic, with a score within the year: how far its patients'' scores lie from those of the others with the same case mix, shrunken towards 0 by how few they are; as of the first refresh of the newest day. By a linear mixed model, patient within operator within clinic; see the card shrunken_effect. Patients are not allotted at random: a difference is not proof of skill.';
COMMENT ON COLUMN mart.shrunken_effect.scale IS 'gais, goodman-baron, satisfaction or vas';
COMMENT ON COLUMN mart.shrunken_effect.depth IS 'clinic or operator';
COMMENT ON COLUMN mart.shrunken_effect.clinic_id IS 'clinic';
COMMENT ON COLUMN mart.shrunken_effect.operator IS 'operator, as clinic/operator; null at depth clinic';
COMMENT ON COLUMN mart.shrunken_effect.sessions IS 'sessions of the year with a score 14 to 90 days after them and before the patient''s next session; the newest such score counts';
COMMENT ON COLUMN mart.shrunken_effect.patients IS 'patients who had them';
COMMENT ON COLUMN mart.shrunken_effect.value IS 'units of the scale, above 0 is better than the others: of a clinic against the network, of an operator against the own clinic; null with a reason';
COMMENT ON COLUMN mart.shrunken_effect.lower IS 'lower limit of the prediction; null with a reason';
COMMENT ON COLUMN mart.shrunken_effect.upper IS 'upper limit of the prediction; null with a reason';
COMMENT ON COLUMN mart.shrunken_effect.standardised IS 'value in standard deviations of a score, all levels together, so that scales can stand side by side';
COMMENT ON COLUMN mart.shrunken_effect.standardised_lower IS 'lower in the same unit; null where lower is';
COMMENT ON COLUMN mart.shrunken_effect.standardised_upper IS 'upper in the same unit; null where upper is';
COMMENT ON COLUMN mart.shrunken_effect.level IS 'two-sided level of the limits';
COMMENT ON COLUMN mart.shrunken_effect.adjusted_for IS 'case mix in the model: of session_number, indication, area, skin_type and age_band those that vary and that the ones before them do not determine';
COMMENT ON COLUMN mart.shrunken_effect.method IS 'how value and limits were made';
COMMENT ON COLUMN mart.shrunken_effect.version IS 'version of the card shrunken_effect';
COMMENT ON COLUMN mart.shrunken_effect.reason IS 'why there is no value or no limit; null if both are there';
COMMENT ON COLUMN mart.shrunken_effect.as_of IS 'what was known up to then; UTC';
COMMENT ON COLUMN mart.shrunken_effect.snapshot_id IS 'warehouse snapshot it was computed from';
