-- refresh: the looks just taken. look_rows is registered by the caller.
INSERT INTO mart.surveillance_look BY NAME SELECT * FROM look_rows
