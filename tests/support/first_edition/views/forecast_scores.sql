-- Each stored forecast against the close that came true, as prices arrive.
--
-- A split rebases a symbol's history, and closes of different files may stand on different bases. The move from the
-- cutoff to the target is therefore taken from one file that holds both, and applied to the forecast's own last close.
-- Only where neither session's newest file holds the other one are their closes compared as they are.
--
-- Losses are of log-returns. `scale`, the width of the random walk's 80 % interval, makes them comparable between
-- symbols, dates and steps; `walk_loss` is the random walk's own loss there.
CREATE OR REPLACE VIEW forecast_scores AS
WITH moved AS (
  SELECT
    forecast.*,
    LN(
      COALESCE(target.close / origin_beside.close, target_beside.close / origin.close, target.close / origin.close)
    ) AS move
  FROM forecast_history AS forecast
  INNER JOIN latest_prices AS target
    ON forecast.symbol = target.symbol AND forecast.target_date = target.session_date
      AND forecast.simulated = target.simulated
  INNER JOIN latest_prices AS origin
    ON forecast.symbol = origin.symbol AND forecast.cutoff = origin.session_date
      AND forecast.simulated = origin.simulated
  LEFT JOIN prices AS origin_beside
    ON origin.symbol = origin_beside.symbol AND origin.session_date = origin_beside.session_date
      AND target.object = origin_beside.object AND target.generation = origin_beside.generation
  LEFT JOIN prices AS target_beside
    ON target.symbol = target_beside.symbol AND target.session_date = target_beside.session_date
      AND origin.object = target_beside.object AND origin.generation = target_beside.generation
),
missed AS (
  SELECT
    *,
    move - LN(close_lo_95 / last_close) AS from_025,
    move - LN(close_lo_80 / last_close) AS from_100,
    move - LN(close_median / last_close) AS from_500,
    move - LN(close_hi_80 / last_close) AS from_900,
    move - LN(close_hi_95 / last_close) AS from_975,
    last_close * EXP(move) AS actual_close
  FROM moved
),
lost AS (
  SELECT
    *,
    GREATEST(from_025, 0) - 0.975 * from_025 AS pinball_025,
    GREATEST(from_100, 0) - 0.9 * from_100 AS pinball_100,
    GREATEST(from_500, 0) - 0.5 * from_500 AS pinball_500,
    GREATEST(from_900, 0) - 0.1 * from_900 AS pinball_900,
    GREATEST(from_975, 0) - 0.025 * from_975 AS pinball_975
  FROM missed
),
averaged AS (
  SELECT *, (pinball_025 + pinball_100 + pinball_500 + pinball_900 + pinball_975) / 5 AS loss FROM lost
)
SELECT
  symbol, cutoff, step, target_date, model_name, model_version, last_close, close_median, actual_close,
  ABS(actual_close - close_median) AS absolute_error,
  ABS(actual_close - last_close) AS walk_error,
  pinball_025, pinball_100, pinball_500, pinball_900, pinball_975, loss,
  MAX(IF(model_name = 'random-walk', loss, NULL)) OVER twins AS walk_loss,
  MAX(IF(model_name = 'random-walk', LN(close_hi_80 / close_lo_80), NULL)) OVER twins AS scale,
  actual_close BETWEEN close_lo_80 AND close_hi_80 AS inside_80,
  actual_close BETWEEN close_lo_95 AND close_hi_95 AS inside_95,
  SIGN(close_median - last_close) = SIGN(actual_close - last_close) AS direction_right,
  DATE(created_at) > target_date AS backfilled,
  object, generation, created_at, simulated, has_seen
FROM averaged
WINDOW twins AS (PARTITION BY symbol, cutoff, step, simulated)
