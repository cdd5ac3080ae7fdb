-- refresh: mart.protocol_balance is of one day only; finding_rows is registered by the caller
DELETE FROM mart.protocol_balance;
INSERT INTO mart.protocol_balance BY NAME FROM finding_rows
