-- How often the intervals of each model held, by month, over all symbols.
SELECT * FROM coverage WHERE symbol IS NULL ORDER BY month
