-- relation: whether the warehouse has what the dashboard reads: it may be open before its first migration ends
-- grain:    one row
-- inputs:   the catalog
-- time:     now
SELECT count(*) = 1 AS ready
FROM information_schema.tables
WHERE table_catalog = current_catalog() AND table_schema = 'mart' AND table_name = 'freshness'
