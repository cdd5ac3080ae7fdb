-- relation: mart.data_dictionary
-- grain:    one column of one relation of schemas raw, core, mart, landing and privacy
-- inputs:   the catalog: what COMMENT ON says of tables and columns; a view's column without a comment of its own
--           takes the one that raw columns of its name have most often
-- time:     as the catalog is

CREATE OR REPLACE VIEW mart.data_dictionary AS
WITH relation AS (
  SELECT schema_name, table_name, 'table' AS kind, comment
  FROM duckdb_tables() WHERE database_name = 'dermastream'
  UNION ALL
  SELECT schema_name, view_name, 'view', comment
  FROM duckdb_views() WHERE database_name = 'dermastream'
),
named AS (
  SELECT schema_name, table_name, column_name, column_index, data_type, comment
  FROM duckdb_columns() WHERE database_name = 'dermastream'
),
shared AS (
  SELECT column_name, mode(comment) AS comment
  FROM named
  WHERE schema_name = 'raw' AND comment IS NOT NULL
  GROUP BY column_name
)
SELECT
  named.schema_name || '.' || named.table_name AS relation,
  relation.kind,
  relation.comment AS relation_comment,
  named.column_index AS position,
  named.column_name AS "column",
  named.data_type AS "type",
  coalesce(named.comment, shared.comment) AS column_comment
FROM named
JOIN relation USING (schema_name, table_name)
LEFT JOIN shared USING (column_name)
WHERE named.schema_name IN ('raw', 'core', 'mart', 'landing', 'privacy');

COMMENT ON VIEW mart.data_dictionary IS 'Grain: one column of one relation, with what it means; from the comments in the catalog.';
