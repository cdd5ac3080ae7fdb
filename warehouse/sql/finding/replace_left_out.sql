-- refresh: mart.left_out is of one day only; finding_rows is registered by the caller
DELETE FROM mart.left_out;
INSERT INTO mart.left_out BY NAME FROM finding_rows
