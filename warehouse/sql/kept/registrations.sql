-- kept: how many registrations of devices and protocols were touched
SELECT count(*) FROM temp.touched WHERE kind IN ('device', 'protocol')
