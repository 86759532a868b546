-- The newest forecast origin of all symbols.
SELECT MAX(cutoff) AS cutoff FROM ingestions WHERE status = 'forecast' AND frequency = @frequency
