-- Drop bars that a newer file has replaced.
DELETE FROM prices
WHERE session_date BETWEEN @first AND @last
  AND CONCAT(symbol, ' ', frequency, ' ', CAST(session_date AS STRING), ' ',
    IF(frequency = '1d', '', CAST(closed_at AS STRING)), ' ', object, '#', generation) IN (
  SELECT CONCAT(symbol, ' ', frequency, ' ', CAST(session_date AS STRING), ' ',
    IF(frequency = '1d', '', CAST(closed_at AS STRING)), ' ', object, '#', generation)
  FROM prices
  WHERE session_date BETWEEN @first AND @last
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY symbol, frequency, session_date, IF(frequency = '1d', NULL, closed_at), simulated
    ORDER BY origin = 'backfill', written_at DESC, generation DESC, object
  ) > 1
)
