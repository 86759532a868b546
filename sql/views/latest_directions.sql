-- How likely the hour after the newest forecast origin of each symbol closes higher. Simulated ones are left out if the
-- symbol has real ones.
CREATE OR REPLACE VIEW latest_directions AS
WITH real AS (
  SELECT * FROM directions QUALIFY simulated = LOGICAL_AND(simulated) OVER (PARTITION BY symbol, frequency)
)
SELECT
  symbol, frequency, cutoff, cutoff_at, step, target_at, last_close, prob_up, model_name, model_version, role, origin,
  simulated, model_has_seen, doubtful, object, generation, written_at, created_at
FROM real
QUALIFY ROW_NUMBER() OVER (
  PARTITION BY symbol, frequency, model_name, role, step
  ORDER BY cutoff_at DESC, origin = 'backfill', written_at DESC, generation DESC, created_at DESC, object
) = 1
