-- The current forecast of each symbol by each model and role, the newest from its newest cutoff, whenever it was made: one
-- champion, whichever model it is now, and every other model in the role that it has now. Simulated ones are left out if the
-- symbol has real ones.
CREATE OR REPLACE VIEW latest_forecasts AS
WITH made_last AS (
  SELECT
    symbol, frequency, role, model_name, simulated, MAX(cutoff) AS cutoff,
    MAX(IF(frequency = '1d', NULL, cutoff_at)) AS hour
  FROM forecasts
  GROUP BY symbol, frequency, role, model_name, simulated
  QUALIFY simulated = LOGICAL_AND(simulated) OVER (PARTITION BY symbol, frequency)
),
newest AS (
  SELECT symbol, frequency, role, model_name, simulated, cutoff, hour
  FROM made_last
  QUALIFY COALESCE(hour, TIMESTAMP(cutoff))
      = MAX(COALESCE(hour, TIMESTAMP(cutoff))) OVER (PARTITION BY symbol, frequency, model_name)
    AND COALESCE(hour, TIMESTAMP(cutoff)) = MAX(COALESCE(hour, TIMESTAMP(cutoff))) OVER (
      PARTITION BY symbol, frequency, role, IF(role = 'champion', '', model_name)
    )
)
SELECT
  made.symbol, made.frequency, made.cutoff, cutoff_at, step, target_date, target_at, last_close,
  close_median, close_lo_80, close_hi_80, close_lo_95, close_hi_95, quantiles,
  made.model_name, model_version, made.role, origin, made.simulated, object, generation, written_at, created_at
FROM forecasts AS made
INNER JOIN newest
  ON made.symbol = newest.symbol AND made.frequency = newest.frequency AND made.role = newest.role
    AND made.model_name = newest.model_name AND made.simulated = newest.simulated AND made.cutoff = newest.cutoff
    AND (made.frequency = '1d' OR made.cutoff_at = newest.hour)
QUALIFY ROW_NUMBER() OVER (
  PARTITION BY made.symbol, made.frequency, made.role, IF(made.role = 'champion', '', made.model_name), made.step
  ORDER BY origin = 'backfill', written_at DESC, generation DESC, created_at DESC, object
) = 1
  -- A newer file with the same cutoff may give a model another role.
  AND RANK() OVER (
    PARTITION BY made.symbol, made.frequency, made.model_name
    ORDER BY origin = 'backfill', written_at DESC, generation DESC, created_at DESC
  ) = 1
