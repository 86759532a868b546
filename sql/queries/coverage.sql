-- The coverage of each model's intervals by month, over all symbols.
SELECT * FROM coverage WHERE symbol IS NULL AND frequency = @frequency ORDER BY month
