-- The files and symbols that were rejected and have not been forecast since, unless superseded or sent again; of a symbol
-- that was rejected several times the newest. A forecast of simulated bars counts only if the symbol has no others, and a
-- backfill never.
WITH known AS (
  SELECT
    object, generation, written_at, symbol, frequency, status, reason, origin,
    simulated = LOGICAL_AND(simulated) OVER (PARTITION BY symbol, frequency) AS in_use
  FROM ingestions
),
marked AS (
  SELECT
    object, generation, written_at, symbol, status, reason, origin,
    MAX(IF(status = 'forecast' AND in_use AND origin = 'live', written_at, NULL))
      OVER (PARTITION BY symbol, frequency) AS symbol_forecast,
    MAX(IF(status = 'rejected' AND origin = 'live', written_at, NULL))
      OVER (PARTITION BY symbol, frequency) AS symbol_rejected,
    MAX(IF(status IN ('forecast', 'stored'), written_at, NULL)) OVER (PARTITION BY object) AS object_forecast,
    MAX(written_at) OVER (PARTITION BY object) AS newest
  FROM known
)
SELECT object, generation, symbol, reason
FROM marked
WHERE status = 'rejected' AND written_at = newest AND COALESCE(written_at >= object_forecast, TRUE)
  AND (symbol IS NULL OR written_at = symbol_rejected AND COALESCE(written_at > symbol_forecast, TRUE))
  AND origin = 'live'
ORDER BY object, symbol
