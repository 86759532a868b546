-- The champion's newest forecasts that have come true in full, with the share of closes inside the 80% interval.
WITH resolved AS (
  SELECT symbol, cutoff, model_name, COUNT(*) AS steps, COUNTIF(inside_80) / COUNT(*) AS coverage_80
  FROM forecast_scores
  WHERE role = 'champion' AND NOT simulated AND NOT backfilled
  GROUP BY symbol, cutoff, model_name
),
made AS (
  SELECT symbol, cutoff, model_name, COUNT(*) AS steps
  FROM champion_forecasts
  WHERE NOT simulated
  GROUP BY symbol, cutoff, model_name
)
SELECT resolved.cutoff, resolved.coverage_80
FROM resolved
INNER JOIN made
  ON resolved.symbol = made.symbol AND resolved.cutoff = made.cutoff
    AND resolved.model_name = made.model_name AND resolved.steps = made.steps
ORDER BY resolved.cutoff DESC, resolved.symbol
LIMIT @origins
