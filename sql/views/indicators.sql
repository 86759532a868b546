-- Each bar with its technical indicators; NULL until a window is full. After a gap of more than a month, as files of
-- different dates may leave, all windows start again.
--
-- An exponential mean is e[n] = (1 - a) * e[n-1] + v[n]: v is 0 before the seed, the plain mean of the first window at
-- it, and a * x[n] after it. Unrolled, e[n] is a sum of v[j] * (1 - a)^(n-j), which a running sum of v[j] * (1 - a)^-j
-- would give if the power did not overflow. It is therefore summed within blocks of 500 sessions, and the last value of
-- the block before is carried over; earlier sessions weigh less than (13/14)^500 = 8e-17.
--
-- MACD is that of TA-Lib from its first value on: both of its means are seeded at the 26th session, the fast one with the
-- last twelve closes, so that it differs from `ema_12` - `ema_26` for some ninety sessions after a start or a gap.
--
-- Volatility is annualised by 252 sessions, of coins by 365 days, and by 8,766 hours. A coin is told by what it is quoted
-- in, as in `tickercast.domain.calendar`.
CREATE OR REPLACE VIEW indicators AS
WITH gaps AS (
  SELECT
    *,
    IF(DATE_DIFF(session_date, LAG(session_date) OVER (PARTITION BY symbol, frequency ORDER BY session_date), DAY) > 31, 1, 0)
      AS gap
  FROM latest_prices
),
stretches AS (
  SELECT *, SUM(gap) OVER (PARTITION BY symbol, frequency ORDER BY session_date) AS stretch FROM gaps
),
numbered AS (
  SELECT
    symbol, frequency, stretch, session_date, closed_at, open, high, low, close, volume, simulated,
    ROW_NUMBER() OVER history AS n,
    close - LAG(close) OVER history AS change,
    LN(close / LAG(close) OVER history) AS log_return,
    GREATEST(high, LAG(close) OVER history) - LEAST(low, LAG(close) OVER history) AS true_range,
    MAX(close) OVER history AS highest
  FROM stretches
  WINDOW history AS (PARTITION BY symbol, frequency, stretch ORDER BY session_date, closed_at)
),
plain AS (
  SELECT
    *,
    CAST(FLOOR((n - 1) / 500) AS INT64) AS block,
    MOD(n - 1, 500) AS place,
    IF(n >= 5, AVG(close) OVER w5, NULL) AS sma_5,
    IF(n >= 15, AVG(close) OVER w15, NULL) AS sma_15,
    IF(n >= 20, AVG(close) OVER w20, NULL) AS sma_20,
    IF(n >= 50, AVG(close) OVER w50, NULL) AS sma_50,
    IF(n >= 20, STDDEV_POP(close) OVER w20, NULL) AS deviation_20,
    IF(n >= 21, STDDEV_SAMP(log_return) OVER w20, NULL) AS volatility,
    CASE WHEN n < 12 THEN 0 WHEN n = 12 THEN AVG(close) OVER w12 ELSE close * 2 / 13 END AS v12,
    CASE WHEN n < 26 THEN 0 WHEN n = 26 THEN AVG(close) OVER w26 ELSE close * 2 / 27 END AS v26,
    CASE WHEN n < 26 THEN 0 WHEN n = 26 THEN AVG(close) OVER w12 ELSE close * 2 / 13 END AS v_fast,
    CASE WHEN n < 15 THEN 0 WHEN n = 15 THEN AVG(GREATEST(change, 0)) OVER w14 ELSE GREATEST(change, 0) / 14 END
      AS v_gain,
    CASE WHEN n < 15 THEN 0 WHEN n = 15 THEN AVG(GREATEST(-change, 0)) OVER w14 ELSE GREATEST(-change, 0) / 14 END
      AS v_loss,
    CASE WHEN n < 15 THEN 0 WHEN n = 15 THEN AVG(true_range) OVER w14 ELSE true_range / 14 END AS v_range
  FROM numbered
  WINDOW
    history AS (PARTITION BY symbol, frequency, stretch ORDER BY n),
    w5 AS (history ROWS BETWEEN 4 PRECEDING AND CURRENT ROW),
    w12 AS (history ROWS BETWEEN 11 PRECEDING AND CURRENT ROW),
    w14 AS (history ROWS BETWEEN 13 PRECEDING AND CURRENT ROW),
    w15 AS (history ROWS BETWEEN 14 PRECEDING AND CURRENT ROW),
    w20 AS (history ROWS BETWEEN 19 PRECEDING AND CURRENT ROW),
    w26 AS (history ROWS BETWEEN 25 PRECEDING AND CURRENT ROW),
    w50 AS (history ROWS BETWEEN 49 PRECEDING AND CURRENT ROW)
),
summed AS (
  SELECT
    *,
    POW(11 / 13, place) * SUM(v12 * POW(13 / 11, place)) OVER so_far AS s12,
    POW(25 / 27, place) * SUM(v26 * POW(27 / 25, place)) OVER so_far AS s26,
    POW(11 / 13, place) * SUM(v_fast * POW(13 / 11, place)) OVER so_far AS s_fast,
    POW(13 / 14, place) * SUM(v_gain * POW(14 / 13, place)) OVER so_far AS s_gain,
    POW(13 / 14, place) * SUM(v_loss * POW(14 / 13, place)) OVER so_far AS s_loss,
    POW(13 / 14, place) * SUM(v_range * POW(14 / 13, place)) OVER so_far AS s_range
  FROM plain
  WINDOW so_far AS (PARTITION BY symbol, frequency, stretch, block ORDER BY n ROWS UNBOUNDED PRECEDING)
),
carried AS (
  SELECT
    *,
    s12 + POW(11 / 13, place + 1) * COALESCE(SUM(IF(place = 499, s12, NULL)) OVER block_before, 0) AS e12,
    s26 + POW(25 / 27, place + 1) * COALESCE(SUM(IF(place = 499, s26, NULL)) OVER block_before, 0) AS e26,
    s_fast + POW(11 / 13, place + 1) * COALESCE(SUM(IF(place = 499, s_fast, NULL)) OVER block_before, 0) AS fast,
    s_gain + POW(13 / 14, place + 1) * COALESCE(SUM(IF(place = 499, s_gain, NULL)) OVER block_before, 0) AS gain,
    s_loss + POW(13 / 14, place + 1) * COALESCE(SUM(IF(place = 499, s_loss, NULL)) OVER block_before, 0) AS loss,
    s_range + POW(13 / 14, place + 1) * COALESCE(SUM(IF(place = 499, s_range, NULL)) OVER block_before, 0) AS range_mean
  FROM summed
  WINDOW block_before AS (PARTITION BY symbol, frequency, stretch ORDER BY block RANGE BETWEEN 1 PRECEDING AND 1 PRECEDING)
),
signalled AS (
  SELECT
    *,
    POW(8 / 10, place) * SUM(
      CASE WHEN n < 34 THEN 0 WHEN n = 34 THEN first_macd ELSE (fast - e26) * 2 / 10 END * POW(10 / 8, place)
    ) OVER (PARTITION BY symbol, frequency, stretch, block ORDER BY n ROWS UNBOUNDED PRECEDING) AS s9
  FROM (
    SELECT
      *,
      AVG(fast - e26) OVER (PARTITION BY symbol, frequency, stretch ORDER BY n ROWS BETWEEN 8 PRECEDING AND CURRENT ROW)
        AS first_macd
    FROM carried
  )
),
finished AS (
  SELECT
    *,
    IF(n >= 26, fast - e26, NULL) AS macd,
    IF(n >= 34, s9 + POW(8 / 10, place + 1) * COALESCE(SUM(IF(place = 499, s9, NULL)) OVER block_before, 0), NULL)
      AS macd_signal
  FROM signalled
  WINDOW block_before AS (PARTITION BY symbol, frequency, stretch ORDER BY block RANGE BETWEEN 1 PRECEDING AND 1 PRECEDING)
)
SELECT
  symbol, frequency, session_date, closed_at, open, high, low, close, volume, sma_5, sma_15, sma_20, sma_50,
  IF(n >= 12, e12, NULL) AS ema_12,
  IF(n >= 26, e26, NULL) AS ema_26,
  macd,
  macd_signal,
  macd - macd_signal AS macd_histogram,
  IF(n >= 15, 100 * SAFE_DIVIDE(gain, gain + loss), NULL) AS rsi_14,
  sma_20 - 2 * deviation_20 AS bollinger_lower,
  sma_20 + 2 * deviation_20 AS bollinger_upper,
  IF(n >= 15, range_mean, NULL) AS atr_14,
  volatility * SQRT(CASE WHEN frequency = '1h' THEN 8766 WHEN is_coin THEN 365 ELSE 252 END) AS volatility_20,
  close / highest - 1 AS drawdown,
  simulated
FROM (
  SELECT
    *,
    REGEXP_EXTRACT(symbol, '-([^-]+)$') IN (
      'USD', 'EUR', 'GBP', 'JPY', 'CHF', 'CAD', 'AUD', 'NZD', 'CNY', 'HKD', 'SGD', 'KRW', 'INR', 'TWD',
      'IDR', 'THB', 'PHP', 'MYR', 'VND', 'RUB', 'UAH', 'TRY', 'ILS', 'AED', 'ZAR', 'NGN', 'SEK', 'NOK',
      'DKK', 'PLN', 'CZK', 'HUF', 'RON', 'BRL', 'MXN', 'ARS', 'CLP', 'COP', 'USDT', 'USDC', 'DAI', 'BTC',
      'ETH', 'BNB'
    ) AS is_coin
  FROM finished
)
