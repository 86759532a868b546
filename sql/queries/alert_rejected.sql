-- The files and symbols that were rejected and have not been forecast since, unless superseded or sent again.
WITH marked AS (
  SELECT
    object, generation, written_at, symbol, status, reason, origin,
    MAX(IF(status = 'forecast', written_at, NULL)) OVER (PARTITION BY symbol, frequency) AS symbol_forecast,
    MAX(IF(status IN ('forecast', 'stored'), written_at, NULL)) OVER (PARTITION BY object) AS object_forecast,
    MAX(written_at) OVER (PARTITION BY object) AS newest
  FROM ingestions
)
SELECT object, generation, symbol, reason
FROM marked
WHERE status = 'rejected' AND written_at = newest AND COALESCE(written_at >= object_forecast, TRUE)
  AND (symbol IS NULL OR COALESCE(written_at > symbol_forecast, TRUE)) AND origin = 'live'
ORDER BY object, symbol
