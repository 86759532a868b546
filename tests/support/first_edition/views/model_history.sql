-- Which model forecast what and when, and how its forecasts have fared so far against the random walk's; made-up bars
-- don't count.
CREATE OR REPLACE VIEW model_history AS
WITH made AS (
  SELECT
    model_name, model_version,
    MIN(created_at) AS first_made_at,
    MAX(created_at) AS last_made_at,
    MIN(cutoff) AS first_cutoff,
    MAX(cutoff) AS last_cutoff,
    COUNT(DISTINCT symbol) AS symbols,
    CAST(COUNTIF(step = 1) AS INT64) AS forecasts
  FROM forecast_history
  WHERE NOT simulated
  GROUP BY model_name, model_version
),
scored AS (
  SELECT
    model_name, model_version,
    COUNT(*) AS n_scored,
    SAFE_DIVIDE(SUM(loss / scale), SUM(walk_loss / scale)) AS pinball_ratio,
    COUNTIF(inside_80) / COUNT(*) AS coverage_80,
    COUNTIF(inside_95) / COUNT(*) AS coverage_95
  FROM forecast_scores
  WHERE scale > 0 AND NOT simulated AND NOT has_seen
  GROUP BY model_name, model_version
)
SELECT
  made.model_name, made.model_version, made.first_made_at, made.last_made_at, made.first_cutoff, made.last_cutoff,
  made.symbols, made.forecasts, COALESCE(scored.n_scored, 0) AS n_scored,
  scored.pinball_ratio, scored.coverage_80, scored.coverage_95
FROM made
LEFT JOIN scored ON made.model_name = scored.model_name AND made.model_version = scored.model_version
