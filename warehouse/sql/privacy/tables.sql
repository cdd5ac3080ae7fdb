-- Grain: one table of the warehouse, with the names of its columns.
SELECT
  tables.table_schema AS "schema",
  tables.table_name AS "table",
  tables.table_schema || '.' || tables.table_name AS relation,
  list(columns.column_name ORDER BY columns.ordinal_position) AS columns
FROM information_schema.tables AS tables
JOIN information_schema.columns AS columns USING (table_catalog, table_schema, table_name)
WHERE tables.table_catalog = 'dermastream' AND tables.table_type = 'BASE TABLE'
GROUP BY ALL
ORDER BY relation
