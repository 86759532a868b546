-- The frequencies of which something has been forecast.
SELECT DISTINCT frequency FROM ingestions WHERE status = 'forecast' ORDER BY frequency
