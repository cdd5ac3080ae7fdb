-- kept: how many patients changed
SELECT count(*) FROM temp.changed
