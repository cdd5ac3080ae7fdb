-- relation: clinics and operators by what their patients gain
-- grain:    one scale and one clinic, or one operator of a clinic
-- inputs:   mart.shrunken_effect, mart.clinic; $clinic: which one, null for all; $fewest: those with fewer patients are
--           left out; $every_clinic: the reader's scope, nothing for readers of some clinics only: each is held against
--           all
-- time:     the newest day
SELECT effect.scale, effect.depth, effect.clinic_id, clinic.display_name, effect.operator, effect.sessions,
  effect.patients, effect.value, effect.lower, effect.upper, effect.standardised, effect.standardised_lower,
  effect.standardised_upper, effect.level, effect.adjusted_for, effect.reason, effect.as_of
FROM mart.shrunken_effect AS effect
LEFT JOIN mart.clinic AS clinic ON clinic.clinic_id = effect.clinic_id
WHERE $every_clinic
  AND effect.patients >= $fewest
  AND effect.clinic_id = coalesce($clinic, effect.clinic_id)
ORDER BY effect.scale <> 'gais', effect.scale, effect.clinic_id, effect.operator NULLS FIRST
