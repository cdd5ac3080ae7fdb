"""What we know: the tables, the SQL and the definition of every number."""
