-- Drop digests of months that a newer file has changed.
DELETE FROM digests
WHERE month BETWEEN @first AND @last
  AND CONCAT(symbol, ' ', frequency, ' ', CAST(month AS STRING), ' ', object, '#', generation) IN (
  SELECT CONCAT(symbol, ' ', frequency, ' ', CAST(month AS STRING), ' ', object, '#', generation)
  FROM digests
  WHERE month BETWEEN @first AND @last
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY symbol, frequency, month, simulated ORDER BY written_at DESC, generation DESC, object
  ) > 1
)
