-- The newest cutoff of each symbol, and when it arrived; the stalest first. Simulated ones are left out if the symbol has real
-- ones.
SELECT symbol, frequency, MAX(cutoff) AS cutoff, MAX(cutoff_at) AS cutoff_at, MAX(received_at) AS received_at
FROM ingestions
WHERE status = 'forecast' AND symbol IS NOT NULL
GROUP BY symbol, frequency, simulated
QUALIFY simulated = LOGICAL_AND(simulated) OVER (PARTITION BY symbol, frequency)
ORDER BY cutoff, received_at, symbol, frequency
