-- Drop scores that a correction has replaced, unless the correction's file was written after @until.
DELETE FROM scores
WHERE cutoff BETWEEN @first AND @last AND CONCAT(
  symbol, ' ', frequency, ' ', CAST(cutoff AS STRING), ' ',
  COALESCE(CAST(cutoff_at AS STRING), ''), ' ', CAST(step AS STRING), ' ', role, ' ', model_name, ' ',
  CAST(revision AS STRING), ' ', basis
) IN (
  SELECT CONCAT(
    symbol, ' ', frequency, ' ', CAST(cutoff AS STRING), ' ',
    COALESCE(CAST(cutoff_at AS STRING), ''), ' ', CAST(step AS STRING), ' ', role, ' ', model_name, ' ',
    CAST(revision AS STRING), ' ', basis
  )
  FROM scores
  WHERE cutoff BETWEEN @first AND @last AND scored_at <= @until
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY symbol, frequency, role, model_name, cutoff, cutoff_at, step, simulated
    ORDER BY revision DESC, scored_at DESC, basis
  ) > 1
)
