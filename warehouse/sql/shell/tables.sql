-- Grain: one relation whose name is like $pattern, with what it is.
SELECT DISTINCT relation, kind, relation_comment AS comment
FROM mart.data_dictionary
WHERE relation LIKE $pattern
ORDER BY relation
