-- One row a model version and role: what it forecast and when, and its score so far relative to the random walk's.
-- Forecasts of simulated bars do not count.
CREATE OR REPLACE VIEW model_history AS
WITH made AS (
  SELECT
    model_name, model_version, role, frequency,
    MIN(created_at) AS first_made_at,
    MAX(created_at) AS last_made_at,
    MIN(cutoff) AS first_cutoff,
    MAX(cutoff) AS last_cutoff,
    COUNT(DISTINCT symbol) AS symbols,
    COUNT(*) AS forecasts
  FROM forecast_history
  WHERE NOT simulated AND step = 1
  GROUP BY model_name, model_version, role, frequency
),
scored AS (
  SELECT
    model_name, model_version, role, frequency,
    CAST(SUM(n) AS INT64) AS n_scored,
    SAFE_DIVIDE(SUM(loss), SUM(walk_loss)) AS pinball_ratio,
    SUM(inside_80) / SUM(n) AS coverage_80,
    SUM(inside_95) / SUM(n) AS coverage_95
  FROM skill_blocks
  WHERE has_scale
  GROUP BY model_name, model_version, role, frequency
  HAVING SUM(n) > 0
)
SELECT
  made.model_name, made.model_version, made.role, made.frequency, made.first_made_at, made.last_made_at,
  made.first_cutoff, made.last_cutoff,
  made.symbols, made.forecasts, COALESCE(scored.n_scored, 0) AS n_scored,
  scored.pinball_ratio, scored.coverage_80, scored.coverage_95
FROM made
LEFT JOIN scored
  ON made.model_name = scored.model_name AND made.model_version = scored.model_version AND made.role = scored.role
    AND made.frequency = scored.frequency
