-- The newest hour of each coin that has an hourly forecast, and the hours that were forecast in the week up to it.
WITH made AS (
  SELECT symbol, cutoff_at, MAX(cutoff_at) OVER (PARTITION BY symbol) AS newest
  FROM ingestions
  WHERE frequency = @frequency AND status = 'forecast' AND symbol IS NOT NULL AND NOT simulated AND origin = 'live'
)
SELECT symbol, newest AS cutoff_at, COUNT(DISTINCT cutoff_at) AS hours
FROM made
WHERE cutoff_at > TIMESTAMP_SUB(newest, INTERVAL 168 HOUR)
GROUP BY symbol, newest
ORDER BY symbol
