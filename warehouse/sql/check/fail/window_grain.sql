-- check:  one window a session in mart.patient_window, one row a course in mart.patient_course
-- gives:  clinic and how many would enter more than once
-- inputs: temp.new_patient_window, temp.new_patient_course

SELECT clinic_id, count(*) - count(DISTINCT session_id) AS repeated
FROM temp.new_patient_window
GROUP BY clinic_id
HAVING count(*) > count(DISTINCT session_id)
UNION ALL
SELECT clinic_id, count(*) - count(DISTINCT (patient_key, course))
FROM temp.new_patient_course
GROUP BY clinic_id
HAVING count(*) > count(DISTINCT (patient_key, course))
