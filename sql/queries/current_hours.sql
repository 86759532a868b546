-- The newest hour of each coin with an hourly forecast since a day, and the hours that were forecast in the week up to it.
WITH made AS (
  SELECT symbol, cutoff_at AS made_at, MAX(cutoff_at) OVER (PARTITION BY symbol) AS newest
  FROM ingestions
  WHERE frequency = @frequency AND status = 'forecast' AND symbol IS NOT NULL AND NOT simulated AND origin = 'live'
    AND received_at >= TIMESTAMP(@since)
)
SELECT symbol, MAX(made_at) AS cutoff_at, COUNT(DISTINCT made_at) AS hours
FROM made
WHERE made_at > TIMESTAMP_SUB(newest, INTERVAL 168 HOUR)
GROUP BY symbol
ORDER BY symbol
