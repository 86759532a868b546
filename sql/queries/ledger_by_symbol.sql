-- What tells whether anything has happened to a symbol: the rows of the ledger about it, and the newest of them.
SELECT symbol, COUNT(*) AS files, MAX(received_at) AS newest
FROM ingestions
WHERE symbol IS NOT NULL
GROUP BY symbol
