-- Whether the 80% intervals of a symbol hold what they state: by model, over its last 39 blocks of 28 days, three years.
-- Forecasts of simulated bars do not count, nor do backfills of dates that the model was trained on.
--
-- The horizons of neighbouring forecasts overlap, so that their closes fall inside or outside together. `error` is that
-- of a ratio of sums over blocks; the covariance of neighbouring blocks enters with half its weight (Newey and West 1987,
-- one lag). The interval is Wilson's, for as many independent closes as would have that error, at most one a forecast, by
-- Student's t (Cornish and Fisher) with one degree of freedom less than there are blocks: 95%.
--
-- `calibration` is `too narrow` or `too wide` where the share is outside 75% to 85% and the interval excludes 80%, `too
-- early` below eight blocks, and `as stated` where neither is shown.
CREATE OR REPLACE VIEW calibration AS
WITH blocks AS (
  SELECT
    model_name, role, symbol, frequency, block,
    MAX(step) AS steps,
    SUM(n) AS n,
    SUM(inside_80) AS inside_80,
    SUM(inside_95) AS inside_95
  FROM skill_blocks
  WHERE grain IS NULL OR grain = 'both'
  GROUP BY model_name, role, symbol, frequency, block
  HAVING SUM(skill_blocks.n) > 0
),
newest AS (
  SELECT *
  FROM blocks
  QUALIFY block > MAX(block) OVER (PARTITION BY model_name, role, symbol, frequency) - 39
),
residuals AS (
  SELECT
    *,
    inside_80 - n * SUM(inside_80) OVER record / SUM(n) OVER record AS residual
  FROM newest
  WINDOW record AS (PARTITION BY model_name, role, symbol, frequency)
),
paired AS (
  SELECT
    *,
    IF(LAG(block) OVER record = block - 1, LAG(residual) OVER record, 0) AS residual_before
  FROM residuals
  WINDOW record AS (PARTITION BY model_name, role, symbol, frequency ORDER BY block)
),
measured AS (
  SELECT
    model_name, role, symbol, frequency,
    COUNT(*) AS blocks,
    MIN(block) AS first_block,
    MAX(block) AS last_block,
    CAST(SUM(n) AS INT64) AS n,
    CAST(SUM(inside_80) AS INT64) AS inside_80,
    SUM(inside_80) / SUM(n) AS coverage_80,
    SUM(inside_95) / SUM(n) AS coverage_95,
    SUM(n) / MAX(steps) AS forecasts,
    SQRT(SAFE_DIVIDE(COUNT(*), COUNT(*) - 1) * GREATEST(SUM(residual * residual) + SUM(residual * residual_before), 0))
      / SUM(n) AS error
  FROM paired
  GROUP BY model_name, role, symbol, frequency
),
weighed AS (
  SELECT
    *,
    LEAST(forecasts, COALESCE(SAFE_DIVIDE(coverage_80 * (1 - coverage_80), error * error), forecasts)) AS independent,
    IF(blocks >= 8, 1.95996 + 2.37227 / GREATEST(blocks - 1, 1) + 2.8225 / POW(GREATEST(blocks - 1, 1), 2), NULL) AS t
  FROM measured
),
bounded AS (
  SELECT
    *,
    (coverage_80 + t * t / 2 / independent) / (1 + t * t / independent) AS middle,
    t * SQRT((coverage_80 * (1 - coverage_80) + t * t / 4 / independent) / independent) / (1 + t * t / independent) AS reach
  FROM weighed
)
SELECT
  model_name, role, symbol, frequency, n, inside_80, coverage_80,
  middle - reach AS coverage_80_lo,
  middle + reach AS coverage_80_hi,
  coverage_95, blocks,
  CAST(DATE_ADD(DATE '1970-01-01', INTERVAL 28 * first_block DAY) AS DATE) AS since,
  CAST(DATE_ADD(DATE '1970-01-01', INTERVAL 28 * last_block + 27 DAY) AS DATE) AS through,
  CASE
    WHEN reach IS NULL THEN 'too early'
    WHEN coverage_80 < 0.75 AND middle + reach < 0.8 THEN 'too narrow'
    WHEN coverage_80 > 0.85 AND middle - reach > 0.8 THEN 'too wide'
    ELSE 'as stated'
  END AS calibration
FROM bounded
