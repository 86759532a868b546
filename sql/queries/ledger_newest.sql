-- The newest rows of the ledger.
SELECT * FROM ingestions ORDER BY received_at DESC, object, written_at DESC, generation DESC, symbol LIMIT @rows
