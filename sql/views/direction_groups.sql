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
  model_name, role, symbol, frequency, grouped_by,
  IF(grouped_by = 'move', bracket, tenth) AS place,
  COUNT(*) AS n,
  AVG(IF(grouped_by = 'move', size, prob_up)) AS stated,
  COUNTIF(IF(grouped_by = 'move', is_right, went_up)) / COUNT(*) AS observed
FROM placed
CROSS JOIN UNNEST(['probability', 'move']) AS grouped_by
GROUP BY 1, 2, 3, 4, 5, 6
