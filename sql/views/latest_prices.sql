-- One row per symbol and session or hour: the bar of the newest file, one from a backfill only if there is no other.
-- Simulated bars are left out if the symbol has real ones.
CREATE OR REPLACE VIEW latest_prices AS
WITH known AS (
  SELECT symbol, frequency, LOGICAL_AND(simulated) AS simulated FROM spans GROUP BY symbol, frequency
)
SELECT
  price.symbol, price.frequency, session_date, closed_at, open, high, low, close, adj_close, volume,
  object, generation, written_at, ingested_at, price.simulated
FROM prices AS price
INNER JOIN known
  ON price.symbol = known.symbol AND price.frequency = known.frequency AND price.simulated = known.simulated
QUALIFY ROW_NUMBER() OVER (
  PARTITION BY price.symbol, price.frequency, session_date, IF(price.frequency = '1d', NULL, closed_at)
  ORDER BY origin = 'backfill', written_at DESC, generation DESC, object
) = 1
