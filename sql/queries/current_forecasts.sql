-- The newest cutoff that the champion has forecast each symbol from.
SELECT symbol, MAX(cutoff) AS cutoff FROM champion_forecasts WHERE NOT simulated GROUP BY symbol
