-- The first cutoff of the forecasts that count in a record, by block of 28 days, symbol and version.
SELECT
  symbol, role, model_name, model_version,
  CAST(FLOOR(DATE_DIFF(cutoff, DATE '1970-01-01', DAY) / 28) AS INT64) AS block,
  MIN(cutoff) AS first_cutoff
FROM forecast_scores
WHERE frequency = @frequency AND symbol IN UNNEST(@symbols) AND cutoff BETWEEN @first AND @last
  AND NOT (simulated OR model_has_seen OR doubtful)
GROUP BY symbol, role, model_name, model_version, block
ORDER BY symbol, role, model_name, model_version, block
