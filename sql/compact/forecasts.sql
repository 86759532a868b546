-- Drop forecasts that a newer file with the same cutoff has replaced.
DELETE FROM forecasts
WHERE cutoff BETWEEN @first AND @last AND CONCAT(
  symbol, ' ', frequency, ' ', CAST(cutoff AS STRING), ' ',
  IF(frequency = '1d', '', CAST(cutoff_at AS STRING)), ' ', role, ' ', model_name, ' ', object, '#', generation
) IN (
  SELECT CONCAT(
    symbol, ' ', frequency, ' ', CAST(cutoff AS STRING), ' ',
    IF(frequency = '1d', '', CAST(cutoff_at AS STRING)), ' ', role, ' ', model_name, ' ', object, '#', generation
  )
  FROM forecasts
  WHERE cutoff BETWEEN @first AND @last
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY symbol, frequency, role, model_name, cutoff, IF(frequency = '1d', NULL, cutoff_at), step, simulated
    ORDER BY origin = 'backfill', written_at DESC, generation DESC, created_at DESC, object
  ) > 1
)
