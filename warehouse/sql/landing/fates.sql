-- Grain: one event of the batch that must not land; duplicate, or else in conflict.
SELECT part, "offset", duplicate FROM unwanted
