-- Grain: one row of RELATION about the person.
SELECT * FROM RELATION WHERE patient_key = $patient_key ORDER BY ALL
