-- Drop bars that a newer file has replaced. Bars within a month of one of the same file that is still the newest are kept:
-- at the edge of the file only they show on which basis the closes of the neighbouring file are (see forecast_scores).
DELETE FROM prices
WHERE CONCAT(symbol, ' ', CAST(session_date AS STRING), ' ', object, '#', CAST(generation AS STRING)) IN (
  WITH marked AS (
    SELECT price.*, COALESCE(ledger.origin = 'backfill', FALSE) AS is_backfill
    FROM prices AS price
    LEFT JOIN ingestions AS ledger
      ON price.object = ledger.object AND price.generation = ledger.generation AND price.symbol = ledger.symbol
  ),
  ranked AS (
    SELECT
      symbol, session_date, object, generation,
      ROW_NUMBER() OVER (
        PARTITION BY symbol, session_date, simulated
        ORDER BY is_backfill, generation DESC, ingested_at DESC, object
      ) = 1 AS newest
    FROM marked
  )
  SELECT CONCAT(symbol, ' ', CAST(session_date AS STRING), ' ', object, '#', CAST(generation AS STRING))
  FROM ranked
  QUALIFY NOT LOGICAL_OR(newest) OVER (
    PARTITION BY symbol, object, generation ORDER BY DATE_DIFF(session_date, DATE '1970-01-01', DAY)
    RANGE BETWEEN 31 PRECEDING AND 31 FOLLOWING
  )
)
