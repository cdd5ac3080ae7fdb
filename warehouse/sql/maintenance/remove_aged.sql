-- RELATION loses what is older than $before by its MOMENT.
DELETE FROM RELATION WHERE MOMENT < $before
