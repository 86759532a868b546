-- The newest cutoff of the champion's forecasts, by symbol: from the ledger, which is a hundredth of them.
SELECT symbol, MAX(cutoff) AS cutoff
FROM ingestions
WHERE frequency = @frequency AND status = 'forecast' AND symbol IS NOT NULL AND NOT simulated
GROUP BY symbol
