-- The first and last bar of the files of earlier releases.
SELECT
  price.symbol,
  '1d' AS frequency,
  MIN(session_date) AS first_session,
  MAX(session_date) AS last_session,
  CAST(NULL AS TIMESTAMP) AS first_closed_at,
  CAST(NULL AS TIMESTAMP) AS last_closed_at,
  COALESCE(LOGICAL_OR(COALESCE(price.simulated, ledger.reason = 'simulated')), FALSE) AS simulated,
  price.object,
  CAST(price.generation AS STRING) AS generation,
  TIMESTAMP_MICROS(price.generation) AS written_at,
  MIN(ingested_at) AS announced_at
FROM prices_before AS price
LEFT JOIN ingestions_before AS ledger
  ON price.object = ledger.object AND price.generation = ledger.generation AND price.symbol = ledger.symbol
GROUP BY price.symbol, price.object, price.generation
