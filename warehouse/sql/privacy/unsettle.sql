-- erase: a refresh that read the person's rows before they went can no longer save its marts, with them in; the
-- next one builds the marts anew, as it would without the history that the erasure forgets
DELETE FROM mart.kept
