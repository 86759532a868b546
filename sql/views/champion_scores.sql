-- The scores of the champion's forecasts, one row per symbol, cutoff and step; if the champion changed between two forecasts
-- with the same cutoff, the newer one's, unless the close was known when it was made.
CREATE OR REPLACE VIEW champion_scores AS
SELECT * EXCEPT (role)
FROM forecast_scores
WHERE role = 'champion'
QUALIFY ROW_NUMBER() OVER (
  PARTITION BY symbol, frequency, cutoff, IF(frequency = '1d', NULL, cutoff_at), step, simulated
  ORDER BY origin = 'backfill', backfilled, written_at DESC, created_at DESC, model_name
) = 1
