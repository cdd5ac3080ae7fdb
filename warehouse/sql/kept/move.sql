-- kept.save: from now on the marts rest on another snapshot
DELETE FROM mart.kept;
INSERT INTO mart.kept SELECT $snapshot_id, $definitions;
