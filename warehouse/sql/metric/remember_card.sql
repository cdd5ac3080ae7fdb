-- mart.metric_card: one card.
INSERT INTO mart.metric_card VALUES (
  $metric_id, $version, $title, $description, $numerator, $denominator, $unit, $interval_method, $level, $better,
  $source, $strata, $model, $flags, $signals, $baseline, $owner
)
