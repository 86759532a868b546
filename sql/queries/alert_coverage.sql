-- The champion's newest forecasts that have come true in full, with the share of closes inside the 80% interval.
SELECT symbol, cutoff, model_name, COUNTIF(inside_80) / COUNT(*) AS coverage_80
FROM forecast_scores
WHERE frequency = @frequency AND role = 'champion' AND NOT simulated AND NOT backfilled AND NOT doubtful AND cutoff >= @since
  AND symbol IN UNNEST(@symbols)
GROUP BY symbol, cutoff, model_name
HAVING COUNT(*) = @steps
ORDER BY cutoff DESC, symbol
LIMIT @origins
