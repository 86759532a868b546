-- One row a symbol and session: the bar that arrived last.
CREATE OR REPLACE VIEW latest_prices AS
SELECT
  symbol, session_date, open, high, low, close, adj_close, volume, object, generation, ingested_at
FROM prices
QUALIFY ROW_NUMBER() OVER (
  PARTITION BY symbol, session_date ORDER BY generation DESC, ingested_at DESC, object
) = 1
