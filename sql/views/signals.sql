-- What a strategy reads at each forecast origin, one row per symbol and cutoff: the champion's forecast of the last step as
-- log-returns, the chance that the next hour closes higher, and Prophet's median, as far as these are stored. Each part is
-- the newest that was made before a close of it was known; one that was made later counts only if there is no other, and
-- `backfilled` says so. A backtest reads the rows between two dates, a live signal the newest. Simulated rows are kept
-- apart.
CREATE OR REPLACE VIEW signals AS
WITH champion AS (
  SELECT *
  FROM champion_forecasts
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY symbol, frequency, cutoff, IF(frequency = '1d', NULL, cutoff_at), simulated ORDER BY step DESC
  ) = 1
),
prophet AS (
  SELECT *
  FROM forecast_history
  WHERE model_name = 'prophet' AND role <> 'shadow'
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY symbol, frequency, cutoff, IF(frequency = '1d', NULL, cutoff_at), simulated
    ORDER BY origin = 'backfill', backfilled, written_at DESC, generation DESC, step DESC, role
  ) = 1
),
direction AS (
  SELECT *, created_at > target_at AS backfilled
  FROM directions
  WHERE step = 1
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY symbol, frequency, cutoff, cutoff_at, simulated
    ORDER BY
      origin = 'backfill', created_at > target_at, written_at DESC, generation DESC, created_at DESC, model_name, object
  ) = 1
)
SELECT
  champion.symbol, champion.frequency, champion.cutoff, champion.cutoff_at, champion.step AS steps, champion.last_close,
  LN(champion.close_median / champion.last_close) AS expected_return,
  LN(champion.close_lo_80 / champion.last_close) AS return_lo_80,
  LN(champion.close_hi_80 / champion.last_close) AS return_hi_80,
  direction.prob_up,
  LN(prophet.close_median / prophet.last_close) AS prophet_return,
  champion.model_name, champion.model_version, champion.origin, champion.simulated,
  champion.model_has_seen OR COALESCE(direction.model_has_seen, FALSE) AS model_has_seen,
  champion.doubtful OR COALESCE(direction.doubtful, FALSE) AS doubtful,
  champion.backfilled OR COALESCE(prophet.backfilled, FALSE) OR COALESCE(direction.backfilled, FALSE) AS backfilled
FROM champion
LEFT JOIN prophet
  ON champion.symbol = prophet.symbol AND champion.frequency = prophet.frequency AND champion.cutoff = prophet.cutoff
    AND champion.simulated = prophet.simulated
    AND (champion.frequency = '1d' OR champion.cutoff_at = prophet.cutoff_at)
LEFT JOIN direction
  ON champion.symbol = direction.symbol AND champion.frequency = direction.frequency
    AND champion.cutoff = direction.cutoff AND champion.cutoff_at = direction.cutoff_at
    AND champion.simulated = direction.simulated
