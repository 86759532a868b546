-- Drop forecasts that a newer file with the same cutoff has replaced.
DELETE FROM forecasts
WHERE CONCAT(
  symbol, ' ', CAST(cutoff AS STRING), ' ', role, ' ', model_name, ' ', object, '#', CAST(generation AS STRING)
) IN (
  SELECT CONCAT(
    symbol, ' ', CAST(cutoff AS STRING), ' ', role, ' ', model_name, ' ', object, '#', CAST(generation AS STRING)
  )
  FROM forecasts
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY symbol, role, model_name, cutoff, step, simulated
    ORDER BY origin = 'backfill', generation DESC, created_at DESC, object
  ) > 1
)
