-- Forecast with BigQuery's AI.FORECAST, whose TimesFM runs at Google, from the origins of the champion's newest daily
-- forecasts. A row has the steps, targets and file of the champion's row beside it, so that it is scored with that, by the
-- same views. An origin that has such rows is left alone, and so is one of which a close is known already.
--
-- The model sees the logarithms of the last 512 closes less that of the last one, numbered by sessions as if they were days:
-- a weekend is no gap, and a split between then and now changes nothing.
INSERT INTO forecasts (
  symbol, frequency, cutoff, cutoff_at, step, target_date, target_at, last_close,
  close_median, close_lo_80, close_hi_80, close_lo_95, close_hi_95,
  model_name, model_version, role, origin, simulated, model_has_seen, doubtful, object, generation, written_at, created_at
)
WITH recent AS (
  SELECT *
  FROM forecasts
  WHERE cutoff >= DATE_SUB(CURRENT_DATE(), INTERVAL 14 DAY) AND frequency = '1d'
),
newest AS (
  SELECT *
  FROM recent
  WHERE role = 'champion' AND origin = 'live' AND NOT simulated
  QUALIFY RANK() OVER (PARTITION BY symbol ORDER BY cutoff DESC, written_at DESC, generation DESC, model_name) = 1
),
wanted AS (
  SELECT made.*
  FROM newest AS made
  LEFT JOIN (SELECT DISTINCT symbol, cutoff FROM recent WHERE model_name = 'timesfm') AS known
    ON made.symbol = known.symbol AND made.cutoff = known.cutoff
  WHERE known.symbol IS NULL
  QUALIFY LOGICAL_AND(made.target_at > CURRENT_TIMESTAMP()) OVER (PARTITION BY made.symbol)
),
numbered AS (
  SELECT
    price.symbol,
    LN(price.close / FIRST_VALUE(price.close) OVER backwards) AS log_close,
    ROW_NUMBER() OVER backwards AS place
  FROM latest_prices AS price
  INNER JOIN (SELECT DISTINCT symbol, cutoff FROM wanted) AS origin
    ON price.symbol = origin.symbol AND price.session_date <= origin.cutoff
  WHERE price.frequency = '1d' AND NOT price.simulated AND price.session_date >= DATE_SUB(CURRENT_DATE(), INTERVAL 3 YEAR)
  WINDOW backwards AS (PARTITION BY price.symbol ORDER BY price.session_date DESC)
),
series AS (
  SELECT symbol, log_close, DATE_SUB(DATE '2000-01-01', INTERVAL place - 1 DAY) AS day
  FROM numbered
  WHERE place <= 512
),
inner_80 AS (
  SELECT *
  FROM AI.FORECAST(
    (SELECT symbol, log_close, day FROM series),
    data_col => 'log_close', timestamp_col => 'day', id_cols => ['symbol'], model => 'TimesFM 2.0', horizon => 10,
    confidence_level => 0.8
  )
),
outer_95 AS (
  SELECT *
  FROM AI.FORECAST(
    (SELECT symbol, log_close, day FROM series),
    data_col => 'log_close', timestamp_col => 'day', id_cols => ['symbol'], model => 'TimesFM 2.0', horizon => 10,
    confidence_level => 0.95
  )
),
cones AS (
  SELECT
    inner_80.symbol,
    DATE_DIFF(DATE(inner_80.forecast_timestamp), DATE '2000-01-01', DAY) AS step,
    inner_80.forecast_value AS median,
    inner_80.prediction_interval_lower_bound AS lo_80,
    inner_80.prediction_interval_upper_bound AS hi_80,
    outer_95.prediction_interval_lower_bound AS lo_95,
    outer_95.prediction_interval_upper_bound AS hi_95
  FROM inner_80
  INNER JOIN outer_95
    ON inner_80.symbol = outer_95.symbol AND inner_80.forecast_timestamp = outer_95.forecast_timestamp
)
SELECT
  wanted.symbol, wanted.frequency, wanted.cutoff, wanted.cutoff_at, wanted.step, wanted.target_date, wanted.target_at,
  wanted.last_close,
  wanted.last_close * EXP(cones.median) AS close_median,
  wanted.last_close * EXP(cones.lo_80) AS close_lo_80,
  wanted.last_close * EXP(cones.hi_80) AS close_hi_80,
  wanted.last_close * EXP(cones.lo_95) AS close_lo_95,
  wanted.last_close * EXP(cones.hi_95) AS close_hi_95,
  'timesfm' AS model_name,
  '2.0' AS model_version,
  'companion' AS role,
  wanted.origin, wanted.simulated,
  FALSE AS model_has_seen,
  wanted.doubtful, wanted.object, wanted.generation, wanted.written_at,
  CURRENT_TIMESTAMP() AS created_at
FROM wanted
INNER JOIN cones ON wanted.symbol = cones.symbol AND wanted.step = cones.step
WHERE cones.lo_95 <= cones.lo_80 AND cones.lo_80 <= cones.median AND cones.median <= cones.hi_80
  AND cones.hi_80 <= cones.hi_95
