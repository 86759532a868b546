-- The coverage of the intervals by model and month of the target: by symbol, and with `symbol` NULL over all of them.
-- Forecasts of simulated bars do not count, nor do dates that the model has seen in training.
CREATE OR REPLACE VIEW coverage AS
SELECT
  model_name,
  role,
  IF(by_symbol, symbol, NULL) AS symbol,
  CAST(DATE_TRUNC(target_date, MONTH) AS DATE) AS month,
  COUNT(*) AS n,
  COUNTIF(inside_80) / COUNT(*) AS coverage_80,
  COUNTIF(inside_95) / COUNT(*) AS coverage_95
FROM forecast_scores
CROSS JOIN UNNEST([FALSE, TRUE]) AS by_symbol
WHERE NOT simulated AND NOT model_has_seen
GROUP BY 1, 2, 3, 4
