-- Landed events of some clinics. Grain: exactly one row. Input: raw.event_key.
SELECT count(*) AS events FROM raw.event_key WHERE split_part(source, '/', 3) IN (SELECT unnest($clinic_ids))
