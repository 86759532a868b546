-- The newest rows of the ledger.
SELECT * FROM ingestions ORDER BY received_at DESC, object, generation DESC, symbol LIMIT @rows
