-- Closes outside the 95% interval that the champion gave them one session or hour before, and how unusual they were. If the
-- champion changed between two forecasts with the same cutoff, the newer one's counts, unless the close was known by then.
--
-- `sigmas` is the surprise, the log-return from the median, over the standard deviation that the 80% interval states.
-- `market_sigmas` is the mean of that over all other symbols scored over the same session or hour, NULL where there are
-- none, and `own_sigmas` is what remains without it: small where the whole market moved. Simulated bars are left out.
CREATE OR REPLACE VIEW anomalies AS
WITH counted AS (
  SELECT
    symbol, frequency, cutoff, cutoff_at, target_date, target_at, model_name, model_version,
    last_close, close_median, close_lo_95, close_hi_95, actual_close,
    SAFE_DIVIDE(LN(actual_close / close_median) * 2.5631, LN(close_hi_80 / close_lo_80)) AS sigmas
  FROM scores
  WHERE step = 1 AND role = 'champion' AND NOT simulated
  -- Not by the file's name last, as elsewhere: no two are written at the same time, and every symbol's row is read.
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY symbol, frequency, cutoff, IF(frequency = '1d', NULL, cutoff_at), target_date
    ORDER BY
      origin = 'backfill', COALESCE(created_at > target_at, DATE(created_at) > target_date), written_at DESC,
      revision DESC,
      actual_close, close_median, close_lo_95, close_hi_95
  ) = 1
),
beside AS (
  SELECT
    *,
    SAFE_DIVIDE(
      SUM(sigmas) OVER market - COALESCE(sigmas, 0), COUNT(sigmas) OVER market - IF(sigmas IS NULL, 0, 1)
    ) AS market_sigmas
  FROM counted
  WINDOW market AS (PARTITION BY frequency, cutoff, target_date, IF(frequency = '1d', NULL, cutoff_at))
)
SELECT
  symbol, frequency, cutoff, cutoff_at, target_date, target_at, model_name, model_version,
  last_close, close_median, close_lo_95, close_hi_95, actual_close,
  sigmas, market_sigmas, sigmas - COALESCE(market_sigmas, 0) AS own_sigmas
FROM beside
WHERE actual_close < close_lo_95 OR actual_close > close_hi_95
