-- refresh: the day's earlier model makes room for the new one. [$day, $day + 24 hours)
DELETE FROM mart.case_mix_coefficient WHERE as_of >= $day AND as_of < $day + to_hours(24)
