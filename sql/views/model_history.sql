-- One row a model version and role: what it forecast and when, and its score so far relative to the random walk's.
-- Forecasts of simulated bars do not count.
CREATE OR REPLACE VIEW model_history AS
WITH months AS (
  -- A month with as many forecasts as days, all of one version: then each is the only one of its cutoff, and the newest
  -- need not be looked for, which costs several times as much.
  SELECT
    symbol, frequency, role, model_name,
    DATE_TRUNC(cutoff, MONTH) AS month,
    MIN(model_version) AS model_version,
    COUNT(*) = BIT_COUNT(BIT_OR(CAST(1 AS INT64) << EXTRACT(DAY FROM cutoff)))
      AND MIN(model_version) = MAX(model_version) AS is_plain,
    MIN(created_at) AS first_made_at,
    MAX(created_at) AS last_made_at,
    MIN(cutoff) AS first_cutoff,
    MAX(cutoff) AS last_cutoff,
    COUNT(*) AS forecasts
  FROM forecasts
  WHERE NOT simulated AND step = 1
  GROUP BY 1, 2, 3, 4, 5
),
newest AS (
  SELECT made.model_name, made.model_version, made.role, made.frequency, made.symbol, made.cutoff, made.created_at
  FROM forecasts AS made
  INNER JOIN months
    ON made.symbol = months.symbol AND made.frequency = months.frequency AND made.role = months.role
      AND made.model_name = months.model_name
      AND DATE_TRUNC(made.cutoff, MONTH) = months.month
  WHERE NOT made.simulated AND made.step = 1 AND NOT months.is_plain
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY made.symbol, made.frequency, made.role, made.model_name, made.cutoff,
      IF(made.frequency = '1d', NULL, made.cutoff_at)
    ORDER BY made.origin = 'backfill', made.written_at DESC, made.generation DESC, made.created_at DESC, made.object
  ) = 1
),
counted AS (
  SELECT
    model_name, model_version, role, frequency, symbol, first_made_at, last_made_at, first_cutoff, last_cutoff, forecasts
  FROM months
  WHERE is_plain
  UNION ALL
  SELECT model_name, model_version, role, frequency, symbol, created_at, created_at, cutoff, cutoff, 1
  FROM newest
),
made AS (
  SELECT
    model_name, model_version, role, frequency,
    MIN(first_made_at) AS first_made_at,
    MAX(last_made_at) AS last_made_at,
    MIN(first_cutoff) AS first_cutoff,
    MAX(last_cutoff) AS last_cutoff,
    COUNT(DISTINCT symbol) AS symbols,
    CAST(SUM(forecasts) AS INT64) AS forecasts
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
  WHERE has_scale AND (grain IS NULL OR grain = 'step')
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
