-- The symbols that have been forecast.
SELECT DISTINCT symbol FROM ingestions WHERE frequency = @frequency AND status = 'forecast' AND symbol IS NOT NULL ORDER BY symbol
