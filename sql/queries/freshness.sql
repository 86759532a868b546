-- The newest cutoff of each symbol, and when it arrived; the stalest first.
SELECT symbol, MAX(cutoff) AS cutoff, MAX(received_at) AS received_at
FROM ingestions
WHERE status = 'forecast' AND symbol IS NOT NULL
GROUP BY symbol
ORDER BY cutoff, received_at, symbol
