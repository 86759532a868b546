-- Every forecast, one row per symbol, role, model, cutoff and step. Of several with the same cutoff the newest file's
-- counts, and a backfill only if there is no other: hindsight replaces nothing. Forecasts of simulated bars are kept
-- apart.
CREATE OR REPLACE VIEW forecast_history AS
SELECT
  symbol, frequency, cutoff, cutoff_at, step, target_date, target_at, last_close,
  close_median, close_lo_80, close_hi_80, close_lo_95, close_hi_95, quantiles,
  model_name, model_version, role, origin, simulated, model_has_seen, doubtful, object, generation, written_at, created_at
FROM forecasts
QUALIFY ROW_NUMBER() OVER (
  PARTITION BY symbol, frequency, role, model_name, cutoff, IF(frequency = '1d', NULL, cutoff_at), step, simulated
  ORDER BY origin = 'backfill', written_at DESC, generation DESC, created_at DESC, object
) = 1
