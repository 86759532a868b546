-- The newest hour of the coins that are forecast hour by hour: 24 times or more since a day.
SELECT symbol, MAX(cutoff_at) AS cutoff_at
FROM ingestions
WHERE frequency = '1h' AND status = 'forecast' AND symbol IS NOT NULL AND NOT simulated AND origin = 'live'
  AND received_at >= TIMESTAMP(@since)
GROUP BY symbol
HAVING COUNT(*) >= 24
ORDER BY symbol
