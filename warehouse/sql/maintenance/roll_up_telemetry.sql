-- core.telemetry_rollup. Grain: one device, session and UTC day of frames that occurred before $before.
INSERT INTO core.telemetry_rollup BY NAME
SELECT * FROM core.telemetry_part WHERE day < ($before AT TIME ZONE 'UTC')::DATE
