-- Grain: one column of $relation, with what it means.
SELECT "column", "type", column_comment AS comment
FROM mart.data_dictionary
WHERE relation = $relation
ORDER BY position
