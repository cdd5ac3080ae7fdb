-- temp.fact_key. Grain: one fact that snapshots $first to $last, both included, added on a day that is held.
INSERT INTO fact_key BY NAME
SELECT key_hash, occurred_at, "table"
FROM ducklake_table_insertions('dermastream', 'landing', 'event_key', $first, $last)
WHERE "table" <> 'telemetry_frame' AND (occurred_at AT TIME ZONE 'UTC')::DATE IN (SELECT day FROM fact_day)
