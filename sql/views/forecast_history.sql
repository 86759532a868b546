-- Every forecast, one row a symbol, model, cutoff and step: of several vintages with one cutoff, the newest.
CREATE OR REPLACE VIEW forecast_history AS
SELECT
  symbol, cutoff, step, target_date, last_close,
  close_median, close_lo_80, close_hi_80, close_lo_95, close_hi_95,
  model_name, model_version, object, generation, created_at
FROM forecasts
QUALIFY ROW_NUMBER() OVER (
  PARTITION BY symbol, model_name, cutoff, step ORDER BY generation DESC, created_at DESC, object
) = 1
