-- RELATION loses its rows about the person.
DELETE FROM RELATION WHERE patient_key = $patient_key
