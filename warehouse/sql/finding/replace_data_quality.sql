-- refresh: mart.data_quality is of one moment only; finding_rows is registered by the caller
DELETE FROM mart.data_quality;
INSERT INTO mart.data_quality BY NAME FROM finding_rows
