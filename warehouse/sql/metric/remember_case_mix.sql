-- refresh: the model behind the day's expected numbers. model_rows is registered by the caller.
INSERT INTO mart.case_mix_coefficient BY NAME SELECT * FROM model_rows
