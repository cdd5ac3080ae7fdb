-- Grain: one row about RELATION: its rows, and a sum over them that does not depend on their order.
-- The sum of 64-bit hashes of whole rows, modulo 2^64: equal contents give equal sums under one DuckDB version.
SELECT
  count(*) AS rows,
  lpad(lower(hex((coalesce(sum(hash(fact)), 0) % 18446744073709551616)::UBIGINT)), 16, '0') AS checksum
FROM RELATION AS fact
