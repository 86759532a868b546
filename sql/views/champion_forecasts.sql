-- The champion's forecasts, one row per symbol, cutoff and step; if the champion changed between two forecasts with the same
-- cutoff, the newer one's, unless a close of it was known when it was made.
CREATE OR REPLACE VIEW champion_forecasts AS
SELECT * EXCEPT (role)
FROM forecast_history
WHERE role = 'champion'
QUALIFY RANK() OVER (
  PARTITION BY symbol, frequency, cutoff, IF(frequency = '1d', NULL, cutoff_at), simulated
  ORDER BY origin = 'backfill', backfilled, written_at DESC, generation DESC, model_name
) = 1
