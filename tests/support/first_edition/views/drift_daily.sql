-- One row a day and kind of drift: how many features or measures have drifted, and which is furthest beyond its threshold,
-- relative to it, or else nearest to it.
-- What was found of made-up bars counts where there is nothing else.
CREATE OR REPLACE VIEW drift_daily AS
WITH newest AS (
  SELECT *
  FROM drift
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY day, kind, name
    ORDER BY IF(note IS NULL, 0, 1), created_at DESC, model_version DESC, method
  ) = 1
),
ranked AS (
  SELECT
    *,
    ROW_NUMBER() OVER (
      PARTITION BY day, kind ORDER BY drifted DESC, ABS(score / threshold - 1) * IF(drifted, 1, -1) DESC, name
    ) AS place
  FROM newest
)
SELECT
  day, kind,
  COUNT(*) AS n,
  CAST(COUNTIF(drifted) AS INT64) AS n_drifted,
  COUNTIF(drifted) / COUNT(*) AS share_drifted,
  MAX(IF(place = 1, name, NULL)) AS furthest,
  MAX(IF(place = 1, score, NULL)) AS furthest_score,
  MAX(IF(place = 1, threshold, NULL)) AS furthest_threshold,
  MAX(model_version) AS model_version,
  MAX(report) AS report
FROM ranked
GROUP BY day, kind
