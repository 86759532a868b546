-- The newest rows of the ledger that are not forecasts, with their reasons.
SELECT received_at, object, generation, symbol, status, reason
FROM ingestions
WHERE status != 'forecast'
ORDER BY received_at DESC, object, symbol
LIMIT @rows
