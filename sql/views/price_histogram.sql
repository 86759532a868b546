-- The distribution of each symbol's last 250 closes: twenty bins of equal width, empty ones included.
CREATE OR REPLACE VIEW price_histogram AS
WITH recent AS (
  SELECT symbol, frequency, close, simulated
  FROM latest_prices
  QUALIFY ROW_NUMBER() OVER (PARTITION BY symbol, frequency ORDER BY session_date DESC, closed_at DESC) <= 250
),
spread AS (
  SELECT
    *,
    MIN(close) OVER (PARTITION BY symbol, frequency) AS lowest,
    (MAX(close) OVER (PARTITION BY symbol, frequency) - MIN(close) OVER (PARTITION BY symbol, frequency)) / 20 AS width
  FROM recent
),
placed AS (
  SELECT
    *,
    COALESCE(CAST(LEAST(FLOOR(SAFE_DIVIDE(close - lowest, width)), 19) AS INT64), 0) AS bin
  FROM spread
),
counted AS (
  SELECT symbol, frequency, bin, COUNT(*) AS sessions FROM placed GROUP BY symbol, frequency, bin
),
bins AS (
  SELECT symbol, frequency, bin, lowest + bin * width AS close_from, lowest + (bin + 1) * width AS close_to, simulated
  FROM (SELECT DISTINCT symbol, frequency, lowest, width, simulated FROM spread)
  CROSS JOIN UNNEST(GENERATE_ARRAY(0, 19)) AS bin
)
SELECT
  bins.symbol, bins.frequency, bins.bin, bins.close_from, bins.close_to, COALESCE(counted.sessions, 0) AS sessions, bins.simulated
FROM bins
LEFT JOIN counted
  ON bins.symbol = counted.symbol AND bins.frequency = counted.frequency AND bins.bin = counted.bin
