-- The closes of the champion's forecasts that have come true, by what keeps a forecast from counting in the record.
SELECT simulated, model_has_seen, doubtful, COUNT(*) AS n
FROM champion_scores
WHERE frequency = @frequency
GROUP BY simulated, model_has_seen, doubtful
ORDER BY simulated, model_has_seen, doubtful
