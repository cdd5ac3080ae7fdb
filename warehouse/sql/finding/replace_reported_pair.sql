-- refresh: mart.reported_pair is of one day only; finding_rows is registered by the caller
DELETE FROM mart.reported_pair;
INSERT INTO mart.reported_pair BY NAME FROM finding_rows
