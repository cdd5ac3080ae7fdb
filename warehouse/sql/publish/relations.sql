-- Grain: one relation of core and mart, with its comment, its columns and their comments (null: none).
SELECT
  relation,
  any_value(relation_comment) AS comment,
  list("column" ORDER BY position) AS columns,
  list(column_comment ORDER BY position) AS column_comments
FROM mart.data_dictionary
WHERE relation LIKE 'core.%' OR relation LIKE 'mart.%'
GROUP BY relation
ORDER BY relation
