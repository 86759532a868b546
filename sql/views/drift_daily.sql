-- One row per day, frequency and kind of drift: the number of features or measures that drifted, and the one furthest beyond its
-- threshold, relative to it, or nearest to it if none is beyond. Results on simulated bars count only if there are no
-- others.
CREATE OR REPLACE VIEW drift_daily AS
WITH newest AS (
  SELECT * REPLACE (COALESCE(frequency, '1d') AS frequency)
  FROM drift
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY day, COALESCE(drift.frequency, '1d'), kind, name
    ORDER BY simulated, created_at DESC, model_version DESC, method
  ) = 1
),
ranked AS (
  SELECT
    *,
    ROW_NUMBER() OVER (
      PARTITION BY day, frequency, kind ORDER BY drifted DESC, ABS(score / threshold - 1) * IF(drifted, 1, -1) DESC, name
    ) AS place
  FROM newest
)
SELECT
  day, frequency, kind,
  COUNT(*) AS n,
  CAST(COUNTIF(drifted) AS INT64) AS n_drifted,
  COUNTIF(drifted) / COUNT(*) AS share_drifted,
  MAX(IF(place = 1, name, NULL)) AS furthest,
  MAX(IF(place = 1, score, NULL)) AS furthest_score,
  MAX(IF(place = 1, threshold, NULL)) AS furthest_threshold,
  MAX(model_version) AS model_version,
  MAX(report) AS report
FROM ranked
GROUP BY day, frequency, kind
