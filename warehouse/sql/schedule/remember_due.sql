-- refresh: due_rows is registered by the caller
INSERT INTO mart.patient_due BY NAME SELECT * FROM due_rows
