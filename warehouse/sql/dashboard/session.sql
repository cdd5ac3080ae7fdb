-- relation: one session
-- grain:    one row, or none where there is no such session or the reader may not see it
-- inputs:   raw.session_completed, core.voided, mart.clinic; $clinic, $session: which; $people: whether the reader may
--           see rows about single patients; $every_clinic, $clinic_ids: the reader's scope
-- time:     latest truth, as core.session, which would read the sessions of all clinics; a test holds the two together
WITH stated AS MATERIALIZED (
  FROM raw.session_completed
  WHERE $people AND clinic_id = $clinic AND session_id = $session
    AND ($every_clinic OR list_contains($clinic_ids, clinic_id))
),
standing AS MATERIALIZED (
  FROM raw.session_completed AS fact
  WHERE clinic_id = $clinic
    AND (
      session_id = $session
      OR (supersedes IS NOT NULL AND (source, supersedes) IN (SELECT (source, id) FROM stated))
    )
    AND NOT EXISTS (FROM core.voided WHERE voided.source = fact.source AND voided.voided_id = fact.id)
)
SELECT
  session.clinic_id, clinic.display_name, clinic.time_zone, session.session_id,
  session.patient_key, session.age_band,
  session.operator_id, session.device_id, session.protocol_id, session.protocol_version, session.cartridge_lot,
  session.cartridge_serial, session.indication, session.area, session.skin_type, session.phase,
  session.session_number, session.started_at, session.completed_at, session.depth_mm, session.stroke_rate_per_min,
  session.passes, session.contraindication_overridden
FROM standing AS session
LEFT JOIN mart.clinic AS clinic USING (clinic_id)
WHERE $people AND session.session_id = $session
  AND ($every_clinic OR list_contains($clinic_ids, session.clinic_id))
  AND NOT EXISTS (
    FROM standing AS correction
    WHERE correction.source = session.source
      AND correction.supersedes = session.id
      AND correction.supersedes <> correction.id
  )
QUALIFY row_number() OVER (
  ORDER BY session.occurred_at DESC, session.received_at DESC, session.id DESC, session.source DESC
) = 1
