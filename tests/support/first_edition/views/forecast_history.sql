-- Every forecast, one row a symbol, model, cutoff and step: of several vintages with one cutoff, the newest that is no
-- backfill, so that hindsight replaces nothing. What was forecast from made-up bars is kept apart and says so;
-- `has_seen` marks backfills by a model that was trained on the date.
CREATE OR REPLACE VIEW forecast_history AS
WITH marked AS (
  SELECT
    forecast.*,
    COALESCE(ledger.reason = 'simulated', FALSE) AS simulated,
    COALESCE(ledger.reason LIKE 'backfilled: the model has seen this date%', FALSE) AS has_seen
  FROM forecasts AS forecast
  LEFT JOIN ingestions AS ledger
    ON forecast.object = ledger.object AND forecast.generation = ledger.generation
      AND forecast.symbol = ledger.symbol
)
SELECT
  symbol, cutoff, step, target_date, last_close,
  close_median, close_lo_80, close_hi_80, close_lo_95, close_hi_95,
  model_name, model_version, object, generation, created_at, simulated, has_seen
FROM marked
QUALIFY ROW_NUMBER() OVER (
  PARTITION BY symbol, model_name, cutoff, step, simulated
  ORDER BY object LIKE '%/backfill-%', generation DESC, created_at DESC, object
) = 1
