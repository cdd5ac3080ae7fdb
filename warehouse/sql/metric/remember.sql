-- refresh: all rows of one refresh in one insert, which is one file. metric_rows is registered by the caller.
INSERT INTO mart.metric_result BY NAME SELECT * FROM metric_rows
