-- Whether a model knows the direction of the next hour better than a coin, whose Brier score is .25: by symbol, and with
-- `symbol` NULL over all of them. Simulated bars, doubtful ones and hours that the model has seen do not count.
--
-- The interval is that of a mean over days, since the errors of a day's hours are dependent: with M the mean, a day's error
-- is the sum of `brier - M` over its hours. It is a 95% interval by Student's t (Cornish and Fisher) with one degree of
-- freedom less than there are days; below 28 days there is no verdict. Accuracy is compared with always saying the
-- direction that came more often.
CREATE OR REPLACE VIEW direction_skill AS
WITH days AS (
  SELECT
    model_name, role, symbol, frequency, cutoff,
    COUNT(*) AS n,
    SUM(brier) AS brier,
    SUM(log_loss) AS log_loss,
    CAST(COUNTIF(is_right) AS INT64) AS is_right,
    CAST(COUNTIF(went_up) AS INT64) AS went_up
  FROM direction_scores
  WHERE NOT simulated AND NOT model_has_seen AND NOT doubtful
  GROUP BY model_name, role, symbol, frequency, cutoff
),
-- Not a flag that says which: so that a query for one symbol reads no other one's rows.
with_all_symbols AS (
  SELECT * FROM days
  UNION ALL
  SELECT * REPLACE (CAST(NULL AS STRING) AS symbol) FROM days
),
summed AS (
  SELECT
    model_name, role, symbol, frequency, cutoff,
    SUM(n) AS n,
    SUM(brier) AS brier,
    SUM(log_loss) AS log_loss,
    SUM(is_right) AS is_right,
    SUM(went_up) AS went_up
  FROM with_all_symbols
  GROUP BY 1, 2, 3, 4, 5
),
residuals AS (
  SELECT
    *,
    brier - n * SUM(brier) OVER scope / SUM(n) OVER scope AS brier_residual,
    is_right - n * SUM(is_right) OVER scope / SUM(n) OVER scope AS right_residual
  FROM summed
  WINDOW scope AS (PARTITION BY model_name, role, symbol, frequency)
),
measured AS (
  SELECT
    model_name, role, symbol, frequency,
    COUNT(*) AS days,
    CAST(SUM(n) AS INT64) AS n,
    SUM(brier) / SUM(n) AS brier,
    SUM(log_loss) / SUM(n) AS log_loss,
    SUM(is_right) / SUM(n) AS accuracy,
    SUM(went_up) / SUM(n) AS always_up,
    SQRT(SAFE_DIVIDE(COUNT(*), COUNT(*) - 1) * SUM(brier_residual * brier_residual)) / SUM(n) AS error_of_brier,
    SQRT(SAFE_DIVIDE(COUNT(*), COUNT(*) - 1) * SUM(right_residual * right_residual)) / SUM(n) AS error_of_accuracy,
    IF(
      COUNT(*) >= 28,
      1.95996 + 2.37227 / GREATEST(COUNT(*) - 1, 1) + 2.8225 / POW(GREATEST(COUNT(*) - 1, 1), 2),
      NULL
    ) AS reach
  FROM residuals
  GROUP BY model_name, role, symbol, frequency
)
SELECT
  model_name, role, symbol, frequency, n, days, brier,
  brier - reach * error_of_brier AS brier_lo,
  brier + reach * error_of_brier AS brier_hi,
  log_loss, accuracy,
  accuracy - reach * error_of_accuracy AS accuracy_lo,
  accuracy + reach * error_of_accuracy AS accuracy_hi,
  always_up,
  CASE
    WHEN reach IS NULL THEN 'too early'
    WHEN brier + reach * error_of_brier < 0.25 THEN 'better'
    WHEN brier - reach * error_of_brier > 0.25 THEN 'worse'
    ELSE 'no edge'
  END AS verdict
FROM measured
