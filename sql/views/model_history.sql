-- One row a model version and role: what it forecast and when, and its score so far relative to the random walk's.
-- Forecasts of simulated bars do not count.
CREATE OR REPLACE VIEW model_history AS
WITH pairs AS (
  SELECT
    symbol, frequency, role, model_name, cutoff, IF(frequency = '1d', NULL, cutoff_at) AS hour,
    MAX(model_version) AS model_version, MAX(created_at) AS created_at, COUNT(*) AS files
  FROM forecasts
  WHERE NOT simulated AND step = 1
  GROUP BY symbol, frequency, role, model_name, cutoff, hour
),
-- Most are of one file; to look for the newest among those alone takes a third of the time.
counted AS (
  SELECT model_name, model_version, role, frequency, symbol, cutoff, created_at FROM pairs WHERE files = 1
  UNION ALL
  SELECT made.model_name, made.model_version, made.role, made.frequency, made.symbol, made.cutoff, made.created_at
  FROM forecasts AS made
  INNER JOIN pairs
    ON made.symbol = pairs.symbol AND made.frequency = pairs.frequency AND made.role = pairs.role
      AND made.model_name = pairs.model_name AND made.cutoff = pairs.cutoff
      AND (made.frequency = '1d' OR made.cutoff_at = pairs.hour)
  WHERE NOT made.simulated AND made.step = 1 AND pairs.files > 1
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY made.symbol, made.frequency, made.role, made.model_name, made.cutoff, pairs.hour
    ORDER BY made.origin = 'backfill', made.written_at DESC, made.generation DESC, made.created_at DESC, made.object
  ) = 1
),
made AS (
  SELECT
    model_name, model_version, role, frequency,
    MIN(created_at) AS first_made_at,
    MAX(created_at) AS last_made_at,
    MIN(cutoff) AS first_cutoff,
    MAX(cutoff) AS last_cutoff,
    COUNT(DISTINCT symbol) AS symbols,
    COUNT(*) AS forecasts
  FROM counted
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
