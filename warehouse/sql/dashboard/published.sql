-- relation: whether and when something changed that answers kept since a snapshot rest on: a mart or a registry
-- grain:    exactly one row
-- inputs:   DuckLake's own tables; $since, $snapshot: snapshots in ($since, $snapshot]. Tells of no clinic
-- time:     changed: the newest such snapshot, null for none; unknown: some of them have expired. What landing commits
--           every second, the facts and its books, is left out
WITH busy AS (
  SELECT named.table_id
  FROM __ducklake_metadata_dermastream.ducklake_table AS named
  JOIN __ducklake_metadata_dermastream.ducklake_schema AS schema USING (schema_id)
  WHERE schema.schema_name = 'landing'
    OR (schema.schema_name = 'raw' AND named.table_name NOT IN (
      'clinic_registered', 'protocol_published', 'device_registered', 'device_calibrated', 'device_serviced',
      'device_firmware_updated', 'event_voided'
    ))
),
change AS (
  SELECT snapshot_id, unnest(string_split(changes_made, ',')) AS change
  FROM __ducklake_metadata_dermastream.ducklake_snapshot_changes
  WHERE snapshot_id > $since AND snapshot_id <= $snapshot
)
SELECT
  max(snapshot_id) FILTER (
    coalesce(TRY_CAST(regexp_extract(change, '^(?:inserted_into|deleted_from|compacted)_table:(\d+)$', 1) AS BIGINT) NOT IN (FROM busy), true)
  ) AS changed,
  count(DISTINCT snapshot_id) < $snapshot - $since AS unknown
FROM change
