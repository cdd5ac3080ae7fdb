-- Grain: one file in the data folder.
SELECT file AS path FROM glob($pattern)
