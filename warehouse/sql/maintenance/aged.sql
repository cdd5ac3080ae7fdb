-- Grain: one row: how many rows of RELATION are older than $before by their MOMENT.
SELECT count(*) AS events FROM RELATION WHERE MOMENT < $before
