-- The first block of 28 days with forecasts that count in a record, by symbol and version: of the whole record, and of the
-- 39 blocks that the view `calibration` looks at.
WITH counted AS (
  SELECT symbol, role, model_name, model_version, block
  FROM skill_blocks
  WHERE frequency = @frequency AND (grain IS NULL OR grain = 'symbol') AND (@every OR symbol IN UNNEST(@symbols))
  GROUP BY symbol, role, model_name, model_version, block
  HAVING SUM(n) > 0
),
bounded AS (
  SELECT *, block > MAX(block) OVER (PARTITION BY symbol, role, model_name) - 39 AS is_recent
  FROM counted
)
SELECT
  symbol, role, model_name, model_version,
  MIN(block) AS first_block,
  MIN(IF(is_recent, block, NULL)) AS first_recent_block
FROM bounded
GROUP BY symbol, role, model_name, model_version
ORDER BY symbol, role, model_name, model_version
