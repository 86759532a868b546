-- What each strategy holds on paper, one row per account and symbol: the sum of its fills, at the newest stored close.
-- Where the past of a simulated exchange's bars was rebased, by a split or dividend, quantities follow by the same factor,
-- the median of three bars: a correction of one of them is no rebase.
CREATE OR REPLACE VIEW positions AS
WITH newest AS (
  SELECT *
  FROM latest_prices
  QUALIFY ROW_NUMBER() OVER (PARTITION BY symbol, frequency ORDER BY session_date DESC, closed_at DESC) = 1
),
based AS (
  SELECT account, fill_id, symbol, frequency, basis AS close, basis_at AS closed_at FROM fills
  UNION ALL
  SELECT account, fill_id, symbol, frequency, basis_20, basis_20_at FROM fills
  UNION ALL
  SELECT account, fill_id, symbol, frequency, basis_40, basis_40_at FROM fills
),
grown AS (
  SELECT based.account, based.fill_id, based.close / bar.adj_close AS factor
  FROM based
  INNER JOIN latest_prices AS bar
    ON bar.symbol = based.symbol AND bar.frequency = based.frequency AND bar.closed_at = based.closed_at
  QUALIFY ROW_NUMBER() OVER (PARTITION BY based.account, based.fill_id ORDER BY based.close / bar.adj_close)
    = DIV(COUNT(*) OVER (PARTITION BY based.account, based.fill_id) + 1, 2)
),
held AS (
  SELECT
    fills.account, fills.strategy, fills.strategy_hash, fills.frequency, fills.symbol,
    SUM(IF(fills.side = 'buy', fills.quantity, -fills.quantity) * COALESCE(grown.factor, 1.0)) AS quantity,
    SUM(IF(fills.side = 'buy', fills.quantity, -fills.quantity) * fills.price) AS paid,
    SUM(fills.fee) AS fees,
    MAX(fills.filled_at) AS filled_at
  FROM fills
  LEFT JOIN grown ON grown.account = fills.account AND grown.fill_id = fills.fill_id
  GROUP BY fills.account, fills.strategy, fills.strategy_hash, fills.frequency, fills.symbol
)
SELECT
  held.account, held.strategy, held.strategy_hash, held.frequency, held.symbol, held.quantity,
  newest.adj_close AS last_close,
  held.quantity * newest.adj_close AS value,
  held.quantity * newest.adj_close - held.paid - held.fees AS gain,
  held.fees, held.filled_at
FROM held
LEFT JOIN newest ON newest.symbol = held.symbol AND newest.frequency = held.frequency
WHERE ABS(held.quantity) > 1e-9
