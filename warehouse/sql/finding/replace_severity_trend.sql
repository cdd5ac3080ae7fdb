-- refresh: mart.severity_trend is of one day only; finding_rows is registered by the caller
DELETE FROM mart.severity_trend;
INSERT INTO mart.severity_trend BY NAME FROM finding_rows
