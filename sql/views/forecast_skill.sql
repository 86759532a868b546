-- Whether each model has an edge over the random walk: overall, by symbol, by step, and by both; NULL in `symbol` or
-- `step` stands for all of them. Forecasts of simulated bars do not count, nor do backfills of
-- dates that the model was trained on.
--
-- `pinball_ratio` compares the losses of the median and the four ends of the intervals with those of the random walk's
-- cone, and `mae_ratio` the median's error with that of the last close; below 1 is better. The interval is that of
-- Diebold and Mariano, for a ratio: with R the ratio, its errors are the sums of `loss - R * walk_loss` over a block. A
-- block is 28 days of cutoffs over all symbols, since horizons overlap and symbols share shocks; the covariance of
-- neighbouring blocks enters with half its weight (Newey and West 1987, one lag). It is a 95% interval by Student's t
-- (Cornish and Fisher) with one degree of freedom less than there are blocks; below eight blocks there is no verdict.
CREATE OR REPLACE VIEW forecast_skill AS
-- Not a flag that says which: so that a query for one symbol reads no other one's rows.
WITH parts AS (
  SELECT * FROM skill_blocks WHERE grain IS NULL OR grain = 'both'
  UNION ALL
  SELECT * REPLACE (CAST(NULL AS INT64) AS step) FROM skill_blocks WHERE grain IS NULL OR grain = 'symbol'
  UNION ALL
  SELECT * REPLACE (CAST(NULL AS STRING) AS symbol) FROM skill_blocks WHERE grain IS NULL OR grain = 'step'
  UNION ALL
  SELECT * REPLACE (CAST(NULL AS STRING) AS symbol, CAST(NULL AS INT64) AS step)
  FROM skill_blocks
  WHERE grain IS NULL OR grain = 'step'
),
scoped AS (
  SELECT
    model_name, role, symbol, frequency, step, block,
    SUM(n) AS n,
    SUM(backfilled) AS backfilled,
    SUM(inside_80) AS inside_80,
    SUM(inside_95) AS inside_95,
    SUM(direction_right) AS direction_right,
    SUM(direction_stated) AS direction_stated,
    SUM(loss) AS loss,
    SUM(walk_loss) AS walk_loss,
    SUM(error) AS error,
    SUM(walk_error) AS walk_error
  FROM parts
  WHERE model_name != 'random-walk' AND has_scale
  GROUP BY model_name, role, symbol, frequency, step, block
  HAVING SUM(parts.n) > 0
),
beside AS (
  SELECT
    *,
    SAFE_DIVIDE(SUM(loss) OVER whole, SUM(walk_loss) OVER whole) AS ratio,
    LAG(block) OVER scope AS block_before,
    LAG(loss) OVER scope AS loss_before,
    LAG(walk_loss) OVER scope AS walk_loss_before
  FROM scoped
  WINDOW
    scope AS (PARTITION BY model_name, role, symbol, frequency, step ORDER BY block),
    whole AS (scope ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)
),
paired AS (
  SELECT
    *,
    loss - walk_loss * ratio AS residual,
    IF(block_before = block - 1, loss_before - walk_loss_before * ratio, 0) AS residual_before
  FROM beside
),
measured AS (
  SELECT
    model_name, role, symbol, frequency, step,
    COUNT(*) AS blocks,
    CAST(SUM(n) AS INT64) AS n,
    CAST(SUM(backfilled) AS INT64) AS n_backfilled,
    SAFE_DIVIDE(SUM(loss), SUM(walk_loss)) AS pinball_ratio,
    SAFE_DIVIDE(SUM(error), SUM(walk_error)) AS mae_ratio,
    SUM(inside_80) / SUM(n) AS coverage_80,
    SUM(inside_95) / SUM(n) AS coverage_95,
    SAFE_DIVIDE(SUM(direction_right), SUM(direction_stated)) AS direction,
    SAFE_DIVIDE(
      SQRT(SAFE_DIVIDE(COUNT(*), COUNT(*) - 1) * GREATEST(SUM(residual * residual) + SUM(residual * residual_before), 0)),
      SUM(walk_loss)
    ) AS error_of_ratio
  FROM paired
  GROUP BY model_name, role, symbol, frequency, step
),
judged AS (
  SELECT
    *,
    IF(
      blocks >= 8,
      error_of_ratio * (1.95996 + 2.37227 / GREATEST(blocks - 1, 1) + 2.8225 / POW(GREATEST(blocks - 1, 1), 2)),
      NULL
    ) AS reach
  FROM measured
)
SELECT
  model_name, role, symbol, frequency, step, n, n_backfilled, blocks, pinball_ratio,
  pinball_ratio - reach AS pinball_ratio_lo,
  pinball_ratio + reach AS pinball_ratio_hi,
  mae_ratio, coverage_80, coverage_95, direction,
  CASE
    WHEN reach IS NULL OR pinball_ratio IS NULL THEN 'too early'
    WHEN pinball_ratio + reach < 1 THEN 'better'
    WHEN pinball_ratio - reach > 1 THEN 'worse'
    ELSE 'no edge'
  END AS verdict
FROM judged
