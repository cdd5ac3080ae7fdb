-- Grain: one word that a query may need: a relation or a column.
SELECT relation AS word FROM mart.data_dictionary
UNION
SELECT "column" FROM mart.data_dictionary
