-- signals: events at the end of their histories. event_rows is registered by the caller.
INSERT INTO mart.signal_event BY NAME SELECT * FROM event_rows
