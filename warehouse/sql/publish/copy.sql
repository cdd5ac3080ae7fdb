-- published.RELATION. Grain: as RELATION, for one audience: only rows that WHOM holds for, columns as CHANGED.
CREATE TABLE published.RELATION AS SELECT * CHANGED FROM dermastream.RELATION WHERE WHOM
