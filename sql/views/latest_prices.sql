-- One row a symbol and session: the newest bar, one from a backfill only if there is no other. Simulated bars are left
-- out if the symbol has real ones.
CREATE OR REPLACE VIEW latest_prices AS
WITH marked AS (
  SELECT price.*, COALESCE(ledger.origin = 'backfill', FALSE) AS is_backfill
  FROM prices AS price
  LEFT JOIN ingestions AS ledger
    ON price.object = ledger.object AND price.generation = ledger.generation AND price.symbol = ledger.symbol
)
SELECT
  symbol, session_date, open, high, low, close, adj_close, volume, object, generation, ingested_at, simulated
FROM marked
QUALIFY simulated = LOGICAL_AND(simulated) OVER (PARTITION BY symbol)
  AND ROW_NUMBER() OVER (
    PARTITION BY symbol, session_date, simulated
    ORDER BY is_backfill, generation DESC, ingested_at DESC, object
  ) = 1
