-- temp.fact_key and temp.fact_day, empty again.
DELETE FROM fact_key;
DELETE FROM fact_day;
