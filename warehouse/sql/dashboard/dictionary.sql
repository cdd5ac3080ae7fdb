-- relation: what every relation and column of core and mart means
-- grain:    one column
-- inputs:   mart.data_dictionary: names and comments, no data
-- time:     as the catalog is
SELECT relation, kind, relation_comment, position, "column", "type", column_comment
FROM mart.data_dictionary
WHERE $relation IS NULL OR relation = $relation
ORDER BY relation, position
