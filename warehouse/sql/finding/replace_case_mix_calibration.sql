-- refresh: mart.case_mix_calibration is of one day only; finding_rows is registered by the caller
DELETE FROM mart.case_mix_calibration;
INSERT INTO mart.case_mix_calibration BY NAME FROM finding_rows
