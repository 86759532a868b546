-- Count the forecasts that were stored by @until anew. Later ones are not counted: their events may still be under way.
MERGE forecast_counts AS stored
USING (
  SELECT
    symbol, frequency, role, model_name, model_version,
    CAST(DATE_TRUNC(cutoff, MONTH) AS DATE) AS month,
    COUNT(*) AS forecasts,
    BIT_OR(CAST(1 AS INT64) << EXTRACT(DAY FROM cutoff)) AS days,
    MIN(created_at) AS first_made_at,
    MAX(created_at) AS last_made_at,
    MIN(cutoff) AS first_cutoff,
    MAX(cutoff) AS last_cutoff,
    MAX(MAX(created_at)) OVER () AS counted_through
  FROM (
    SELECT *
    FROM forecasts
    WHERE NOT simulated AND step = 1 AND created_at <= @until
    QUALIFY ROW_NUMBER() OVER (
      PARTITION BY symbol, frequency, role, model_name, cutoff, IF(frequency = '1d', NULL, cutoff_at)
      ORDER BY origin = 'backfill', written_at DESC, generation DESC, created_at DESC, object
    ) = 1
  )
  GROUP BY symbol, frequency, role, model_name, model_version, month
) AS merged
ON FALSE
WHEN NOT MATCHED BY SOURCE THEN DELETE
WHEN NOT MATCHED THEN INSERT (
  symbol, frequency, role, model_name, model_version, month, forecasts, days,
  first_made_at, last_made_at, first_cutoff, last_cutoff, counted_through
) VALUES (
  symbol, frequency, role, model_name, model_version, month, forecasts, days,
  first_made_at, last_made_at, first_cutoff, last_cutoff, counted_through
)
