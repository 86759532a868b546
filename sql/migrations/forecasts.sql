-- Adds: role STRING, origin STRING, simulated BOOL, model_has_seen BOOL
-- Rows of earlier releases. The first kept the role in model_name and the rest in the object's name and the ledger's
-- reason; its rows are NULL in the columns of the second.
SELECT
  forecast.symbol,
  '1d' AS frequency,
  forecast.cutoff,
  CAST(NULL AS TIMESTAMP) AS cutoff_at,
  step,
  target_date,
  CAST(NULL AS TIMESTAMP) AS target_at,
  last_close, close_median, close_lo_80, close_hi_80, close_lo_95, close_hi_95,
  CAST(NULL AS ARRAY<FLOAT64>) AS quantiles,
  IF(model_name = 'shadow', 'tickercast-lstm', model_name) AS model_name,
  forecast.model_version,
  COALESCE(
    forecast.role, CASE model_name WHEN 'random-walk' THEN 'baseline' WHEN 'shadow' THEN 'shadow' ELSE 'champion' END
  ) AS role,
  COALESCE(forecast.origin, IF(forecast.object LIKE '%/backfill-%', 'backfill', 'live')) AS origin,
  COALESCE(forecast.simulated, ledger.reason = 'simulated', FALSE) AS simulated,
  COALESCE(
    forecast.model_has_seen,
    model_name NOT IN ('random-walk', 'shadow')
      AND COALESCE(ledger.reason LIKE 'backfilled: the model has seen this date%', FALSE)
  ) AS model_has_seen,
  FALSE AS doubtful,
  forecast.object,
  CAST(forecast.generation AS STRING) AS generation,
  TIMESTAMP_MICROS(forecast.generation) AS written_at,
  created_at
FROM forecasts_before AS forecast
LEFT JOIN (
  SELECT object, generation, symbol, MAX(reason) AS reason
  FROM ingestions_before
  WHERE symbol IS NOT NULL AND status = 'forecast'
  GROUP BY object, generation, symbol
) AS ledger
  ON forecast.object = ledger.object AND forecast.generation = ledger.generation AND forecast.symbol = ledger.symbol
