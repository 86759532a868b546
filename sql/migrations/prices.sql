-- Rows of the first release, which recorded only in the ledger whether bars were simulated.
UPDATE prices
SET simulated = CONCAT(object, '#', CAST(generation AS STRING), ' ', symbol) IN (
  SELECT CONCAT(object, '#', CAST(generation AS STRING), ' ', symbol)
  FROM ingestions
  WHERE symbol IS NOT NULL AND reason = 'simulated'
)
WHERE simulated IS NULL
