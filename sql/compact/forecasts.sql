-- Drop forecasts that a newer file with the same cutoff has replaced, unless they were the newest before one of their
-- closes: those are scored, and scored again after a correction.
DELETE FROM forecasts
WHERE cutoff BETWEEN @first AND @last AND CONCAT(
  symbol, ' ', frequency, ' ', CAST(cutoff AS STRING), ' ',
  IF(frequency = '1d', '', CAST(cutoff_at AS STRING)), ' ', role, ' ', model_name, ' ', object, '#', generation
) NOT IN (
  SELECT CONCAT(
    symbol, ' ', frequency, ' ', CAST(cutoff AS STRING), ' ',
    IF(frequency = '1d', '', CAST(cutoff_at AS STRING)), ' ', role, ' ', model_name, ' ', object, '#', generation
  )
  FROM forecasts
  WHERE cutoff BETWEEN @first AND @last
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY symbol, frequency, role, model_name, cutoff, IF(frequency = '1d', NULL, cutoff_at), step, simulated
    ORDER BY origin = 'backfill', written_at DESC, generation DESC, created_at DESC, object
  ) = 1 OR ROW_NUMBER() OVER (
    PARTITION BY symbol, frequency, role, model_name, cutoff, IF(frequency = '1d', NULL, cutoff_at), step, simulated
    ORDER BY
      origin = 'backfill', COALESCE(created_at > target_at, DATE(created_at) > target_date), written_at DESC,
      generation DESC, created_at DESC, object
  ) = 1
)
