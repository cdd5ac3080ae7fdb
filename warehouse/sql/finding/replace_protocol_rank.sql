-- refresh: mart.protocol_rank is of one day only; finding_rows is registered by the caller
DELETE FROM mart.protocol_rank;
INSERT INTO mart.protocol_rank BY NAME FROM finding_rows
