-- The newest cutoff of the champion's forecasts, by symbol.
SELECT symbol, MAX(cutoff) AS cutoff FROM champion_forecasts WHERE NOT simulated GROUP BY symbol
