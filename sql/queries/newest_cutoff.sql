-- The newest forecast origin of all symbols, and of those with real bars; of all if none has any.
SELECT MAX(cutoff) AS cutoff, COALESCE(MAX(IF(simulated, NULL, cutoff)), MAX(cutoff)) AS real_cutoff
FROM ingestions
WHERE status = 'forecast' AND frequency = @frequency
