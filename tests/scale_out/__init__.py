"""The same code by other settings: catalog in PostgreSQL, data in an S3 store, several processes."""
