-- Every stored score with its losses. A correction scores a forecast again; `forecast_scores` has the revision that counts.
CREATE OR REPLACE VIEW score_revisions AS
WITH missed AS (
  SELECT
    *,
    LN(actual_close / last_close) - LN(close_lo_95 / last_close) AS from_025,
    LN(actual_close / last_close) - LN(close_lo_80 / last_close) AS from_100,
    LN(actual_close / last_close) - LN(close_median / last_close) AS from_500,
    LN(actual_close / last_close) - LN(close_hi_80 / last_close) AS from_900,
    LN(actual_close / last_close) - LN(close_hi_95 / last_close) AS from_975
  FROM scores
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
  symbol, frequency, cutoff, cutoff_at, step, target_date, target_at, model_name, model_version, role, last_close, close_median, close_lo_80,
  close_hi_80, close_lo_95, close_hi_95, actual_close,
  ABS(actual_close - close_median) AS absolute_error,
  ABS(actual_close - last_close) AS walk_error,
  pinball_025, pinball_100, pinball_500, pinball_900, pinball_975, loss,
  IF(model_name = 'random-walk', loss, walk_loss) AS walk_loss,
  IF(model_name = 'random-walk', LN(close_hi_80 / close_lo_80), scale) AS scale,
  actual_close BETWEEN close_lo_80 AND close_hi_80 AS inside_80,
  actual_close BETWEEN close_lo_95 AND close_hi_95 AS inside_95,
  IF(close_median = last_close, NULL, SIGN(close_median - last_close) = SIGN(actual_close - last_close)) AS direction_right,
  COALESCE(created_at > target_at, DATE(created_at) > target_date) AS backfilled,
  object, generation, written_at, created_at, origin, simulated, model_has_seen, doubtful, revision, basis, scored_at
FROM averaged
