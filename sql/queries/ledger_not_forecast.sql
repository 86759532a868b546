-- The newest rows of the ledger that were not handled whole, with their reasons.
SELECT received_at, object, generation, symbol, status, reason
FROM ingestions
WHERE status NOT IN ('forecast', 'stored')
ORDER BY received_at DESC, object, written_at DESC, generation DESC, symbol
LIMIT @rows
