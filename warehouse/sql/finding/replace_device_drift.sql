-- refresh: mart.device_drift is of one day only; finding_rows is registered by the caller
DELETE FROM mart.device_drift;
INSERT INTO mart.device_drift BY NAME FROM finding_rows
