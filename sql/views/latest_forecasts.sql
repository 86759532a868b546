-- The current forecast of each symbol by each model and role, from its newest cutoff. Simulated ones are left out if the
-- symbol has real ones.
CREATE OR REPLACE VIEW latest_forecasts AS
SELECT
  symbol, frequency, cutoff, cutoff_at, step, target_date, target_at, last_close,
  close_median, close_lo_80, close_hi_80, close_lo_95, close_hi_95,
  model_name, model_version, role, origin, simulated, object, generation, written_at, created_at
FROM forecast_history
QUALIFY simulated = LOGICAL_AND(simulated) OVER (PARTITION BY symbol, frequency)
  AND cutoff = MAX(cutoff) OVER (PARTITION BY symbol, frequency, role, model_name, simulated)
