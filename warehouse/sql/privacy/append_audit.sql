-- privacy.audit. One act, sealed with the one before.
INSERT INTO privacy.audit VALUES (
  $number, $acted_at, $actor, $action, $subject, $detail, $previous_hash, $hash
)
