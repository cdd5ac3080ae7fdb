-- temp.fact_day. Grain: one day whose keys temp.fact_key holds; all are as of one snapshot.
CREATE OR REPLACE TEMP TABLE fact_day AS SELECT unnest($days::DATE[]) AS day, $snapshot_id::BIGINT AS snapshot_id
