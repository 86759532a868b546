-- The scores of all forecasts that have come true: of several with the same cutoff, the newest before the close. What a
-- damaged model gave up to 0.2.0 is no number, and has no score.
WITH made AS (
  SELECT *
  FROM forecasts
  WHERE NOT IS_NAN(close_median) AND NOT IS_INF(close_median)
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY symbol, frequency, role, model_name, cutoff, IF(frequency = '1d', NULL, cutoff_at), step, simulated
    ORDER BY
      origin = 'backfill', COALESCE(created_at > target_at, DATE(created_at) > target_date), written_at DESC,
      generation DESC, created_at DESC, object
  ) = 1
),
moved AS (
  SELECT
    forecast.*,
    LN(target.close / origin.close) AS move
  FROM made AS forecast
  INNER JOIN latest_prices AS target
    ON forecast.symbol = target.symbol AND forecast.frequency = target.frequency
      AND forecast.target_date = target.session_date AND forecast.simulated = target.simulated
  INNER JOIN latest_prices AS origin
    ON forecast.symbol = origin.symbol AND forecast.frequency = origin.frequency
      AND forecast.cutoff = origin.session_date AND forecast.simulated = origin.simulated
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
    (
      GREATEST(from_025, 0) - 0.975 * from_025
      + GREATEST(from_100, 0) - 0.9 * from_100
      + GREATEST(from_500, 0) - 0.5 * from_500
      + GREATEST(from_900, 0) - 0.1 * from_900
      + GREATEST(from_975, 0) - 0.025 * from_975
    ) / 5 AS loss
  FROM missed
)
SELECT
  symbol, frequency, cutoff, CAST(NULL AS TIMESTAMP) AS cutoff_at, step,
  target_date, target_at, model_name, model_version, role, last_close,
  close_median, close_lo_80, close_hi_80, close_lo_95, close_hi_95, actual_close,
  IF(model_name != 'random-walk', MAX(IF(model_name = 'random-walk', loss, NULL)) OVER twins, NULL) AS walk_loss,
  IF(
    model_name != 'random-walk',
    MAX(IF(model_name = 'random-walk', LN(close_hi_80 / close_lo_80), NULL)) OVER twins,
    NULL
  ) AS scale,
  object, generation, written_at, created_at, origin, simulated, model_has_seen, doubtful,
  1 AS revision,
  CONCAT(object, '#', generation) AS basis,
  written_at AS scored_at
FROM lost
WINDOW twins AS (PARTITION BY symbol, frequency, cutoff, step, simulated)
