-- The first and last cutoff that has been forecast from; of simulated bars only if there are no others.
SELECT MIN(cutoff) AS first_cutoff, MAX(cutoff) AS last_cutoff
FROM ingestions
WHERE frequency = @frequency AND status = 'forecast'
GROUP BY simulated
QUALIFY simulated = LOGICAL_AND(simulated) OVER ()
