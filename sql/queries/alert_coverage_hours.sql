-- The closes that have come true of the champion's hourly forecasts since a day, and the share inside the 80% interval;
-- no row if there are none.
SELECT
  COUNT(DISTINCT cutoff_at) AS hours, MIN(cutoff_at) AS first, MAX(cutoff_at) AS last,
  COUNTIF(inside_80) / COUNT(*) AS coverage_80
FROM champion_scores
WHERE frequency = @frequency AND NOT simulated AND NOT backfilled AND NOT doubtful AND cutoff >= @since
  AND symbol IN UNNEST(@symbols)
HAVING COUNT(*) > 0
