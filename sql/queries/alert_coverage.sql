-- The champion's newest forecasts that have come true in full, with the share of closes inside the 80% interval.
SELECT symbol, cutoff, COUNTIF(inside_80) / COUNT(*) AS coverage_80
FROM champion_scores
WHERE frequency = @frequency AND NOT simulated AND NOT backfilled AND NOT doubtful AND cutoff >= @since
  AND symbol IN UNNEST(@symbols)
GROUP BY symbol, cutoff
HAVING COUNT(*) = @steps
ORDER BY cutoff DESC, symbol
LIMIT @origins
