-- macro:  poisson_probability(events, mean)
-- gives:  P(X <= events) for a Poisson count X of that mean, as a sum of its terms

CREATE OR REPLACE MACRO poisson_probability(events, mean) AS
CASE
  WHEN events < 0 THEN 0.0
  WHEN mean <= 0 THEN 1.0
  ELSE list_sum(list_transform(
    range(0, events::BIGINT + 1), lambda k: exp(k * ln(mean) - mean - lgamma(k + 1.0))
  ))
END;
