-- temp.fresh_patient_window: made is registered by the caller, rows of warehouse.metrics.courses.WINDOW
CREATE OR REPLACE TEMP TABLE fresh_patient_window AS FROM made
