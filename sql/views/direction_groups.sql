-- Scored directions in groups: `grouped_by` = 'probability', ten groups of equal size by the stated probability, `stated`
-- beside the share of hours that closed higher; `grouped_by` = 'move', the share of right directions by the size of the
-- move that followed: below .08%, .2%, .5%, 1% and above. By symbol, and with `symbol` NULL over all of them; what does not
-- count in `direction_skill` does not here.
CREATE OR REPLACE VIEW direction_groups AS
WITH counted AS (
  SELECT model_name, role, symbol, frequency, cutoff_at, prob_up, went_up, is_right, ABS(move) AS size, symbol AS series
  FROM direction_scores
  WHERE NOT simulated AND NOT model_has_seen AND NOT doubtful
),
with_all_symbols AS (
  SELECT * FROM counted
  UNION ALL
  SELECT * REPLACE (CAST(NULL AS STRING) AS symbol) FROM counted
),
placed AS (
  SELECT
    *,
    NTILE(10) OVER (
      PARTITION BY model_name, role, symbol, frequency ORDER BY prob_up, cutoff_at, series
    ) AS tenth,
    CASE WHEN size < 0.0008 THEN 1 WHEN size < 0.002 THEN 2 WHEN size < 0.005 THEN 3 WHEN size < 0.01 THEN 4 ELSE 5 END
      AS bracket
  FROM with_all_symbols
)
SELECT
  model_name, role, symbol, frequency, 'probability' AS grouped_by, tenth AS place,
  COUNT(*) AS n,
  AVG(prob_up) AS stated,
  COUNTIF(went_up) / COUNT(*) AS observed
FROM placed
GROUP BY model_name, role, symbol, frequency, tenth
UNION ALL
SELECT
  model_name, role, symbol, frequency, 'move' AS grouped_by, bracket AS place,
  COUNT(*) AS n,
  AVG(size) AS stated,
  COUNTIF(is_right) / COUNT(*) AS observed
FROM placed
GROUP BY model_name, role, symbol, frequency, bracket
