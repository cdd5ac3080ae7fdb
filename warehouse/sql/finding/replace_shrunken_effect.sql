-- refresh: mart.shrunken_effect is of one day only; finding_rows is registered by the caller
DELETE FROM mart.shrunken_effect;
INSERT INTO mart.shrunken_effect BY NAME FROM finding_rows
