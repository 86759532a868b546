-- What each strategy holds on paper, one row per account and symbol: the sum of its fills, at the newest stored close.
-- Where the past of a simulated exchange's bars was rebased, by a split or dividend, quantities follow by the same factor,
-- the median of three bars: a correction of one of them is no rebase.
-- What was adopted has no price of its own: the cost of the position is then the venue's average price, and unknown, as is
-- the gain, where the venue says none, until the position was closed once.
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
  SELECT based.account, based.fill_id, based.symbol, based.frequency, based.close / bar.adj_close AS factor
  FROM based
  INNER JOIN latest_prices AS bar
    ON bar.symbol = based.symbol AND bar.frequency = based.frequency AND bar.closed_at = based.closed_at
  -- By symbol and frequency, too, which a fill has one of: so that a query for one symbol reads no other one's bars.
  QUALIFY ROW_NUMBER() OVER (
      PARTITION BY based.account, based.fill_id, based.symbol, based.frequency ORDER BY based.close / bar.adj_close
    )
    = DIV(COUNT(*) OVER (PARTITION BY based.account, based.fill_id, based.symbol, based.frequency) + 1, 2)
),
numbered AS (
  SELECT
    fills.account, fills.strategy, fills.strategy_hash, fills.frequency, fills.symbol,
    fills.price, fills.fee, fills.filled_at,
    IF(fills.side = 'buy', fills.quantity, -fills.quantity) AS amount,
    IF(fills.side = 'buy', fills.quantity, -fills.quantity) * COALESCE(grown.factor, 1.0) AS moved,
    IF(fills.fill_id LIKE 'adopted-%', 1, 0) AS adopted,
    ROW_NUMBER() OVER (
      PARTITION BY fills.account, fills.strategy, fills.frequency, fills.symbol
      ORDER BY fills.written_at, fills.filled_at, fills.fill_id
    ) AS n
  FROM fills
  LEFT JOIN grown
    ON grown.account = fills.account AND grown.fill_id = fills.fill_id AND grown.symbol = fills.symbol
      AND grown.frequency = fills.frequency
),
summed AS (
  SELECT
    *,
    SUM(moved) OVER so_far AS held_then,
    SUM(adopted) OVER so_far AS adopted_by_then,
    ROW_NUMBER() OVER (PARTITION BY account, strategy, frequency, symbol ORDER BY n DESC) AS newest_first
  FROM numbered
  WINDOW so_far AS (PARTITION BY account, strategy, frequency, symbol ORDER BY n ROWS UNBOUNDED PRECEDING)
),
begun AS (
  SELECT
    *,
    MAX(IF(adopted = 1 OR (adopted_by_then > 0 AND ABS(held_then) <= 1e-9), n, 0))
      OVER (PARTITION BY account, strategy, frequency, symbol) AS first_n
  FROM summed
),
held AS (
  SELECT
    account, strategy, frequency, symbol,
    MAX(IF(newest_first = 1, strategy_hash, NULL)) AS strategy_hash,
    SUM(moved) AS quantity,
    SUM(CASE WHEN n > first_n THEN amount * price WHEN n = first_n THEN held_then * price ELSE 0.0 END) AS paid,
    SUM(IF(n > first_n, fee, 0.0)) AS fees_since,
    SUM(IF(n = first_n AND price = 0.0 AND ABS(held_then) > 1e-9, 1, 0)) AS unknown,
    SUM(fee) AS fees,
    MAX(filled_at) AS filled_at
  FROM begun
  GROUP BY account, strategy, frequency, symbol
)
SELECT
  held.account, held.strategy, held.strategy_hash, held.frequency, held.symbol, held.quantity,
  newest.adj_close AS last_close,
  held.quantity * newest.adj_close AS value,
  IF(held.unknown > 0, NULL, held.quantity * newest.adj_close - held.paid - held.fees_since) AS gain,
  held.fees, held.filled_at
FROM held
LEFT JOIN newest ON newest.symbol = held.symbol AND newest.frequency = held.frequency
-- What is worth less than a millionth of the currency is dust, however large a split has made it.
WHERE ABS(held.quantity) > 1e-9 AND COALESCE(ABS(held.quantity * newest.adj_close) >= 1e-6, TRUE)
