-- temp.fact_key. Grain: one landed fact of a day in temp.fact_day, as of the snapshot named there.
CREATE TEMP TABLE IF NOT EXISTS fact_key (key_hash UBIGINT, occurred_at TIMESTAMPTZ, "table" VARCHAR);
CREATE TEMP TABLE IF NOT EXISTS fact_day (day DATE, snapshot_id BIGINT);
