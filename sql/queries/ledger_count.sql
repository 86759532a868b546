-- The number of rows of the ledger.
SELECT COUNT(*) AS entries FROM ingestions
