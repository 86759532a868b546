-- Adds: simulated BOOL
-- Rows of earlier releases, which stored every bar of every file: the newest bar of each session, as their views gave it.
-- Where a split or dividend has rebased the symbol since an older file, its bars follow by the ratio at the earliest
-- session that both files hold.
WITH marked AS (
  SELECT
    price.* EXCEPT (simulated),
    price.object LIKE '%/backfill-%' AS is_backfill,
    COALESCE(price.simulated, ledger.reason = 'simulated', FALSE) AS simulated
  FROM prices_before AS price
  LEFT JOIN ingestions_before AS ledger
    ON price.object = ledger.object AND price.generation = ledger.generation AND price.symbol = ledger.symbol
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY price.symbol, price.session_date, price.object, price.generation ORDER BY ledger.received_at
  ) = 1
),
newest AS (
  SELECT *
  FROM marked
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY symbol, simulated, session_date ORDER BY is_backfill, generation DESC, ingested_at DESC, object
  ) = 1
),
newest_file AS (
  SELECT symbol, simulated, object, generation
  FROM newest
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY symbol, simulated ORDER BY is_backfill, generation DESC, session_date DESC, object
  ) = 1
),
basis AS (
  SELECT
    older.symbol, older.simulated, older.object, older.generation,
    newer.close / older.close AS price,
    newer.adj_close / newer.close / (older.adj_close / older.close) AS factor,
    IF(ABS(newer.close / older.close - 1) > 1e-6, SAFE_DIVIDE(newer.volume, older.volume), 1) AS volume
  FROM marked AS older
  INNER JOIN newest_file ON older.symbol = newest_file.symbol AND older.simulated = newest_file.simulated
  INNER JOIN marked AS newer
    ON newer.symbol = newest_file.symbol AND newer.object = newest_file.object
      AND newer.generation = newest_file.generation AND newer.session_date = older.session_date
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY older.symbol, older.simulated, older.object, older.generation ORDER BY older.session_date
  ) = 1
)
SELECT
  newest.symbol,
  '1d' AS frequency,
  session_date,
  CAST(NULL AS TIMESTAMP) AS closed_at,
  open * COALESCE(price, 1) AS open,
  high * COALESCE(price, 1) AS high,
  low * COALESCE(price, 1) AS low,
  close * COALESCE(price, 1) AS close,
  adj_close * COALESCE(price * factor, 1) AS adj_close,
  newest.volume * COALESCE(basis.volume, 1) AS volume,
  newest.simulated,
  IF(is_backfill, 'backfill', 'live') AS origin,
  newest.object,
  CAST(newest.generation AS STRING) AS generation,
  TIMESTAMP_MICROS(newest.generation) AS written_at,
  ingested_at
FROM newest
LEFT JOIN basis
  ON newest.symbol = basis.symbol AND newest.simulated = basis.simulated
    AND newest.object = basis.object AND newest.generation = basis.generation
