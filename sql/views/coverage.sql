-- The coverage of the intervals by model and month of the target: by symbol, and with `symbol` NULL over all of them.
-- Forecasts of simulated bars do not count, nor do backfills of dates that the model was trained on.
CREATE OR REPLACE VIEW coverage AS
-- Not a flag that says which: so that a query for one symbol reads no other one's rows.
WITH with_all_symbols AS (
  SELECT model_name, role, symbol, frequency, month, n, inside_80, inside_95
  FROM skill_blocks
  WHERE grain IS NULL OR grain = 'symbol'
  UNION ALL
  SELECT model_name, role, CAST(NULL AS STRING), frequency, month, n, inside_80, inside_95
  FROM skill_blocks
  WHERE grain IS NULL OR grain = 'step'
)
SELECT
  model_name,
  role,
  symbol,
  frequency,
  month,
  CAST(SUM(n) AS INT64) AS n,
  SUM(inside_80) / SUM(n) AS coverage_80,
  SUM(inside_95) / SUM(n) AS coverage_95
FROM with_all_symbols
GROUP BY model_name, role, symbol, frequency, month
HAVING SUM(with_all_symbols.n) > 0
