-- For a chart, one row a symbol and date: the last 90 sessions up to the cutoff, then the champion's ten.
CREATE OR REPLACE VIEW predicted_prices AS
WITH champion AS (
  SELECT *
  FROM latest_forecasts
  WHERE model_name != 'random-walk'
  QUALIFY RANK() OVER (PARTITION BY symbol ORDER BY cutoff DESC, generation DESC, model_name) = 1
),
origin AS (
  SELECT DISTINCT symbol, cutoff, model_name, model_version FROM champion
),
history AS (
  SELECT price.*, origin.cutoff, origin.model_name, origin.model_version
  FROM latest_prices AS price
  INNER JOIN origin ON price.symbol = origin.symbol AND price.session_date <= origin.cutoff
  QUALIFY ROW_NUMBER() OVER (PARTITION BY price.symbol ORDER BY price.session_date DESC) <= 90
)
SELECT
  symbol,
  session_date AS date,
  FALSE AS is_forecast,
  open, high, low, close, volume,
  CAST(NULL AS FLOAT64) AS close_median,
  CAST(NULL AS FLOAT64) AS close_lo_80,
  CAST(NULL AS FLOAT64) AS close_hi_80,
  CAST(NULL AS FLOAT64) AS close_lo_95,
  CAST(NULL AS FLOAT64) AS close_hi_95,
  cutoff, model_name, model_version, simulated
FROM history
UNION ALL
SELECT
  symbol,
  target_date AS date,
  TRUE AS is_forecast,
  CAST(NULL AS FLOAT64) AS open,
  CAST(NULL AS FLOAT64) AS high,
  CAST(NULL AS FLOAT64) AS low,
  CAST(NULL AS FLOAT64) AS close,
  CAST(NULL AS FLOAT64) AS volume,
  close_median, close_lo_80, close_hi_80, close_lo_95, close_hi_95,
  cutoff, model_name, model_version, simulated
FROM champion
