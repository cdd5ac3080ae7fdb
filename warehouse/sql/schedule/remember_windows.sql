-- refresh: windows that are new or have changed; window_rows is registered by the caller
INSERT INTO mart.patient_window BY NAME (FROM window_rows EXCEPT FROM mart.patient_window)
