-- Drops forecasts that a newer file with the same cutoff has replaced.
DELETE FROM forecasts
WHERE CONCAT(symbol, ' ', CAST(cutoff AS STRING), ' ', model_name, ' ', object, '#', CAST(generation AS STRING)) IN (
  WITH marked AS (
    SELECT forecast.*, COALESCE(ledger.reason = 'simulated', FALSE) AS simulated
    FROM forecasts AS forecast
    LEFT JOIN ingestions AS ledger
      ON forecast.object = ledger.object AND forecast.generation = ledger.generation
        AND forecast.symbol = ledger.symbol
  )
  SELECT CONCAT(symbol, ' ', CAST(cutoff AS STRING), ' ', model_name, ' ', object, '#', CAST(generation AS STRING))
  FROM marked
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY symbol, model_name, cutoff, step, simulated
    ORDER BY object LIKE '%/backfill-%', generation DESC, created_at DESC, object
  ) > 1
)
