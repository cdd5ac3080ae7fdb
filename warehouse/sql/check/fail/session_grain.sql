-- check:  one row a session of a clinic in mart.session_outcome, also against patients that did not change
-- gives:  clinic and how many of its sessions would stand there more than once
-- inputs: temp.new_session_outcome, mart.session_outcome, temp.gone_session_outcome, as they are about to be saved

WITH new AS (SELECT clinic_id, session_id FROM temp.new_session_outcome),
staying AS (
  SELECT clinic_id, session_id
  FROM mart.session_outcome
  WHERE hash(clinic_id, session_id) IN (SELECT hash(clinic_id, session_id) FROM new)
  EXCEPT ALL
  SELECT clinic_id, session_id FROM temp.gone_session_outcome
),
repeated AS (
  SELECT clinic_id, session_id FROM (FROM new UNION ALL FROM staying) GROUP BY ALL HAVING count(*) > 1
)
SELECT clinic_id, count(*) AS sessions
FROM repeated
GROUP BY clinic_id
