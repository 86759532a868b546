-- For a chart, one row per symbol and date or hour: the last 90 up to the cutoff with their indicators, then the champion's
-- newest forecast, whenever it was made.
CREATE OR REPLACE VIEW predicted_prices AS
WITH champion AS (
  SELECT *
  FROM latest_forecasts
  WHERE role = 'champion'
  QUALIFY RANK() OVER (
    PARTITION BY symbol, frequency
    ORDER BY cutoff DESC, IF(frequency = '1d', NULL, cutoff_at) DESC, origin = 'backfill', written_at DESC, generation DESC, model_name
  ) = 1
),
origin AS (
  SELECT DISTINCT symbol, frequency, cutoff, cutoff_at, model_name, model_version FROM champion
),
history AS (
  SELECT indicator.*, origin.cutoff, origin.cutoff_at, origin.model_name, origin.model_version
  FROM indicators AS indicator
  INNER JOIN origin ON indicator.symbol = origin.symbol AND indicator.frequency = origin.frequency
      AND indicator.session_date <= origin.cutoff
      AND (indicator.frequency = '1d' OR indicator.closed_at <= origin.cutoff_at)
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY indicator.symbol, indicator.frequency ORDER BY indicator.session_date DESC, indicator.closed_at DESC
  ) <= 90
)
SELECT
  symbol,
  frequency,
  session_date AS date,
  closed_at,
  FALSE AS is_forecast,
  open, high, low, close, volume,
  CAST(NULL AS FLOAT64) AS close_median,
  CAST(NULL AS FLOAT64) AS close_lo_80,
  CAST(NULL AS FLOAT64) AS close_hi_80,
  CAST(NULL AS FLOAT64) AS close_lo_95,
  CAST(NULL AS FLOAT64) AS close_hi_95,
  sma_5, sma_15, sma_20, sma_50, ema_12, ema_26, macd, macd_signal,
  macd_histogram, rsi_14, bollinger_lower, bollinger_upper, atr_14, volatility_20, drawdown,
  cutoff, cutoff_at, model_name, model_version, simulated
FROM history
UNION ALL
SELECT
  symbol,
  frequency,
  target_date AS date,
  target_at AS closed_at,
  TRUE AS is_forecast,
  CAST(NULL AS FLOAT64) AS open,
  CAST(NULL AS FLOAT64) AS high,
  CAST(NULL AS FLOAT64) AS low,
  CAST(NULL AS FLOAT64) AS close,
  CAST(NULL AS FLOAT64) AS volume,
  close_median, close_lo_80, close_hi_80, close_lo_95, close_hi_95,
  CAST(NULL AS FLOAT64) AS sma_5,
  CAST(NULL AS FLOAT64) AS sma_15,
  CAST(NULL AS FLOAT64) AS sma_20,
  CAST(NULL AS FLOAT64) AS sma_50,
  CAST(NULL AS FLOAT64) AS ema_12,
  CAST(NULL AS FLOAT64) AS ema_26,
  CAST(NULL AS FLOAT64) AS macd,
  CAST(NULL AS FLOAT64) AS macd_signal,
  CAST(NULL AS FLOAT64) AS macd_histogram,
  CAST(NULL AS FLOAT64) AS rsi_14,
  CAST(NULL AS FLOAT64) AS bollinger_lower,
  CAST(NULL AS FLOAT64) AS bollinger_upper,
  CAST(NULL AS FLOAT64) AS atr_14,
  CAST(NULL AS FLOAT64) AS volatility_20,
  CAST(NULL AS FLOAT64) AS drawdown,
  cutoff, cutoff_at, model_name, model_version, simulated
FROM champion
