-- temp.fresh_patient_course: made is registered by the caller, rows of warehouse.metrics.courses.course_facts
CREATE OR REPLACE TEMP TABLE fresh_patient_course AS FROM made
