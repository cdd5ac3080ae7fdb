-- Grain: exactly one row: how many events of the batch were landed before, or stand in it twice.
SELECT count(*) AS events FROM unwanted WHERE duplicate
