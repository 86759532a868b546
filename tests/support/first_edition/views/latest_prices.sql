-- One row a symbol and session: the bar that arrived last, one from a backfill only where there is no other. Made-up bars
-- never stand beside a symbol's real ones.
CREATE OR REPLACE VIEW latest_prices AS
WITH marked AS (
  SELECT price.*, COALESCE(ledger.reason = 'simulated', FALSE) AS simulated
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
    ORDER BY object LIKE '%/backfill-%', generation DESC, ingested_at DESC, object
  ) = 1
