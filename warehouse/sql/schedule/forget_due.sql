-- refresh: the due list is of one day only; the new one replaces it
DELETE FROM mart.patient_due
