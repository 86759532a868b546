-- How often the intervals held, by model and month of the target: for each symbol, and with `symbol` NULL for all of
-- them. Neither made-up bars count nor dates that the model has seen.
CREATE OR REPLACE VIEW coverage AS
SELECT
  model_name,
  IF(by_symbol, symbol, NULL) AS symbol,
  CAST(DATE_TRUNC(target_date, MONTH) AS DATE) AS month,
  COUNT(*) AS n,
  COUNTIF(inside_80) / COUNT(*) AS coverage_80,
  COUNTIF(inside_95) / COUNT(*) AS coverage_95
FROM forecast_scores
CROSS JOIN UNNEST([FALSE, TRUE]) AS by_symbol
WHERE NOT simulated AND NOT has_seen
GROUP BY 1, 2, 3
