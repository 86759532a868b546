-- The current forecast of each symbol by each model: ten rows, from the newest cutoff. Made-up ones only where a symbol
-- has no other.
CREATE OR REPLACE VIEW latest_forecasts AS
SELECT
  symbol, cutoff, step, target_date, last_close,
  close_median, close_lo_80, close_hi_80, close_lo_95, close_hi_95,
  model_name, model_version, object, generation, created_at, simulated
FROM forecast_history
QUALIFY simulated = LOGICAL_AND(simulated) OVER (PARTITION BY symbol)
  AND cutoff = MAX(cutoff) OVER (PARTITION BY symbol, model_name, simulated)
