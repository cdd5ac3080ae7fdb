-- check:  one row a reported sign of a clinic in mart.session_sign
-- gives:  clinic and how many of its signs would enter more than once
-- inputs: temp.new_session_sign

SELECT clinic_id, count(*) - count(DISTINCT adverse_event_id) AS repeated
FROM temp.new_session_sign
GROUP BY clinic_id
HAVING count(*) > count(DISTINCT adverse_event_id)
