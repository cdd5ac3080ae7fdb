-- relation: when refresh last looked what the checks of landed events find
-- grain:    one row, or none before the first time
-- inputs:   mart.data_quality; tells of no clinic
-- time:     UTC
SELECT max(as_of) AS as_of
FROM mart.data_quality
HAVING count(*) > 0
