-- Every forecast, one row per symbol, role, model, cutoff and step. Of several with the same cutoff the newest file's
-- counts that was made before the first of its closes was known; one that was made later counts only if there is no
-- other, and a backfill only if there is no live one: hindsight replaces nothing. Forecasts of simulated bars are kept
-- apart.
CREATE OR REPLACE VIEW forecast_history AS
WITH made AS (
  SELECT
    *,
    LOGICAL_OR(COALESCE(created_at > target_at, DATE(created_at) > target_date)) OVER (
      PARTITION BY symbol, frequency, role, model_name, cutoff, IF(frequency = '1d', NULL, cutoff_at), simulated,
        object, generation
    ) AS backfilled
  FROM forecasts
)
SELECT
  symbol, frequency, cutoff, cutoff_at, step, target_date, target_at, last_close,
  close_median, close_lo_80, close_hi_80, close_lo_95, close_hi_95, quantiles,
  model_name, model_version, role, origin, simulated, model_has_seen, doubtful, backfilled, object, generation,
  written_at, created_at
FROM made
QUALIFY ROW_NUMBER() OVER (
  PARTITION BY symbol, frequency, role, model_name, cutoff, IF(frequency = '1d', NULL, cutoff_at), step, simulated
  ORDER BY origin = 'backfill', backfilled, written_at DESC, generation DESC, created_at DESC, object
) = 1
