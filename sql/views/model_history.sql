-- One row per model version and role: what it forecast and when, and its score so far relative to the random walk's.
-- Forecasts of simulated bars do not count.
CREATE OR REPLACE VIEW model_history AS
-- What was counted once, and each forecast that was stored since. A month is disputed if it has something new, and more
-- forecasts than days: there one may have replaced another, and the newest are looked for. Which months these are is
-- written twice, so that a filter on the frequency reaches the tables.
WITH parts AS (
  SELECT
    symbol, frequency, role, model_name, model_version, month, forecasts, days,
    first_made_at, last_made_at, first_cutoff, last_cutoff, FALSE AS is_new
  FROM forecast_counts
  UNION ALL
  SELECT
    symbol, frequency, role, model_name, model_version,
    CAST(DATE_TRUNC(cutoff, MONTH) AS DATE), 1, CAST(1 AS INT64) << EXTRACT(DAY FROM cutoff),
    created_at, created_at, cutoff, cutoff, TRUE
  FROM forecasts
  WHERE NOT simulated AND step = 1
    AND created_at > (SELECT COALESCE(MAX(counted_through), TIMESTAMP '1970-01-01 00:00:00+00') FROM forecast_counts)
),
-- Not by the name of the file last, as elsewhere: no two events begin at the same time, and names are a quarter of the
-- bytes of this view.
newest AS (
  SELECT made.model_name, made.model_version, made.role, made.frequency, made.symbol, made.cutoff, made.created_at
  FROM forecasts AS made
  INNER JOIN (
    SELECT symbol, frequency, role, model_name, month
    FROM parts
    GROUP BY symbol, frequency, role, model_name, month
    HAVING LOGICAL_OR(is_new) AND SUM(parts.forecasts) != BIT_COUNT(BIT_OR(days))
  ) AS disputed
    ON made.symbol = disputed.symbol AND made.frequency = disputed.frequency AND made.role = disputed.role
      AND made.model_name = disputed.model_name
      AND CAST(DATE_TRUNC(made.cutoff, MONTH) AS DATE) = disputed.month
  WHERE NOT made.simulated AND made.step = 1
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY made.symbol, made.frequency, made.role, made.model_name, made.cutoff,
      IF(made.frequency = '1d', NULL, made.cutoff_at)
    ORDER BY made.origin = 'backfill', made.written_at DESC, made.generation DESC, made.created_at DESC, made.model_version
  ) = 1
),
counted AS (
  SELECT
    parts.model_name, parts.model_version, parts.role, parts.frequency, parts.symbol,
    first_made_at, last_made_at, first_cutoff, last_cutoff, forecasts
  FROM parts
  LEFT JOIN (
    SELECT symbol, frequency, role, model_name, month
    FROM parts
    GROUP BY symbol, frequency, role, model_name, month
    HAVING LOGICAL_OR(is_new) AND SUM(parts.forecasts) != BIT_COUNT(BIT_OR(days))
  ) AS disputed
    ON parts.symbol = disputed.symbol AND parts.frequency = disputed.frequency AND parts.role = disputed.role
      AND parts.model_name = disputed.model_name AND parts.month = disputed.month
  WHERE disputed.symbol IS NULL
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
