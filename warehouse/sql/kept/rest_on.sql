-- refresh: the snapshot of the facts that the saved marts rest on. `kept` is the warehouse as of their snapshot.
SELECT max(snapshot_id) AS snapshot_id FROM kept.mart.kept
