-- The files and symbols that were rejected and have not been forecast since, unless superseded or sent again.
WITH marked AS (
  SELECT
    object, generation, symbol, status, reason, origin,
    MAX(IF(status = 'forecast', generation, 0)) OVER (PARTITION BY symbol) AS symbol_forecast,
    MAX(IF(status = 'forecast', generation, 0)) OVER (PARTITION BY object) AS object_forecast,
    MAX(generation) OVER (PARTITION BY object) AS newest
  FROM ingestions
)
SELECT object, generation, symbol, reason
FROM marked
WHERE status = 'rejected' AND generation = newest AND generation >= object_forecast
  AND (symbol IS NULL OR generation > symbol_forecast) AND origin = 'live'
ORDER BY object, symbol
