-- refresh: mart.hierarchy_test is of one day only; finding_rows is registered by the caller
DELETE FROM mart.hierarchy_test;
INSERT INTO mart.hierarchy_test BY NAME FROM finding_rows
