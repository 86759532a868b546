-- The first cutoff of the champion's forecasts that count in a record, by symbol and version.
SELECT symbol, model_name, model_version, MIN(cutoff) AS first_cutoff
FROM champion_scores
WHERE frequency = @frequency AND step = 1 AND NOT (simulated OR model_has_seen OR doubtful)
  AND (@every OR symbol IN UNNEST(@symbols))
GROUP BY symbol, model_name, model_version
ORDER BY symbol, model_name, model_version
