-- relation: core.session_outcome
-- grain:    one session of a clinic: what was done, the patient's next session, and what is known to have followed
-- inputs:   core.session, core.protocol, core.device_registration, core.follow_up, core.adverse_event
-- time:     latest truth, with the moments from which it holds, so that every as_of can be answered: a thing was
--           known as of $as_of if its moment is before $as_of. firmware is what the device had at completed_at.
-- kept as:  mart.session_outcome, by patient

CREATE OR REPLACE VIEW core.session_outcome AS
WITH contact AS (
  SELECT clinic_id, session_id, list_sort(list(occurred_at)) AS contacts_at
  FROM core.follow_up
  GROUP BY clinic_id, session_id
),
sign AS (
  SELECT
    clinic_id,
    session_id,
    min(occurred_at) AS first_sign_at,
    list(counts_from_at ORDER BY counts_from_at) FILTER (counts_from_at IS NOT NULL) AS events_from
  FROM core.adverse_event
  GROUP BY clinic_id, session_id
),
session AS (
  SELECT
    session.*,
    lead(session.phase) OVER patient AS next_phase,
    lead(session.completed_at) OVER patient AS next_completed_at
  FROM core.session AS session
  WINDOW patient AS (
    PARTITION BY session.clinic_id, session.patient_key ORDER BY session.completed_at, session.session_id
  )
)
SELECT
  session.clinic_id,
  session.session_id,
  session.patient_key,
  session.completed_at,
  (session.completed_at AT TIME ZONE 'UTC')::DATE AS completed_on,
  session.operator_id,
  session.device_id,
  registration.firmware,
  session.protocol_id,
  session.protocol_version,
  protocol.sessions_planned,
  session.cartridge_lot,
  session.cartridge_serial,
  session.indication,
  session.area,
  session.skin_type,
  session.age_band,
  session.depth_mm,
  session.phase,
  session.contraindication_overridden,
  session.next_phase,
  session.next_completed_at,
  (session.next_completed_at AT TIME ZONE 'UTC')::DATE
    - (session.completed_at AT TIME ZONE 'UTC')::DATE AS days_to_next,
  -- Three sessions make a series where the protocol's version is not known (yet).
  session.phase = 'maintenance'
    OR session.session_number >= coalesce(protocol.sessions_planned, 3) AS series_completed,
  contact.contacts_at[1] AS first_follow_up_at,
  list_filter(
    contact.contacts_at,
    lambda contact_at: (contact_at AT TIME ZONE 'UTC')::DATE > (session.completed_at AT TIME ZONE 'UTC')::DATE
  )[1] AS follow_up_from_day_1_at,
  sign.first_sign_at,
  sign.events_from
FROM session
LEFT JOIN core.protocol AS protocol
  ON protocol.protocol_id = session.protocol_id AND protocol.version = session.protocol_version
LEFT JOIN contact
  ON contact.clinic_id = session.clinic_id AND contact.session_id = session.session_id
LEFT JOIN sign
  ON sign.clinic_id = session.clinic_id AND sign.session_id = session.session_id
ASOF LEFT JOIN core.device_registration AS registration
  ON registration.clinic_id = session.clinic_id
  AND registration.device_id = session.device_id
  AND registration.occurred_at <= session.completed_at;

COMMENT ON VIEW core.session_outcome IS 'Grain: one session with the next one and what followed. Moments say from when something was known: a session''s outcome was known as of T if first_follow_up_at or first_sign_at is before T; its adverse events as of T are the entries of events_from before T.';
