-- Rows of the first edition, whose ledger alone said which bars were simulated.
UPDATE prices
SET simulated = CONCAT(object, '#', CAST(generation AS STRING), ' ', symbol) IN (
  SELECT CONCAT(object, '#', CAST(generation AS STRING), ' ', symbol)
  FROM ingestions
  WHERE symbol IS NOT NULL AND reason = 'simulated'
)
WHERE simulated IS NULL
