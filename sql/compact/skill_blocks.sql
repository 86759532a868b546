-- Add up the rows of each block, from the scores that count: by symbol and step, by symbol and by step, so that a query
-- reads only as many rows as it needs. Rows of files written after @until stay as they are: their events may still be
-- under way.
MERGE skill_blocks AS stored
USING (
  WITH added AS (
    SELECT
      model_name, model_version, role, symbol, frequency, step,
      CAST(FLOOR(DATE_DIFF(cutoff, DATE '1970-01-01', DAY) / 28) AS INT64) AS block,
      CAST(DATE_TRUNC(target_date, MONTH) AS DATE) AS month,
      COALESCE(scale > 0, FALSE) AS has_scale,
      COUNT(*) AS n,
      CAST(COUNTIF(backfilled) AS INT64) AS backfilled,
      CAST(COUNTIF(inside_80) AS INT64) AS inside_80,
      CAST(COUNTIF(inside_95) AS INT64) AS inside_95,
      CAST(COUNTIF(direction_right IS TRUE) AS INT64) AS direction_right,
      CAST(COUNT(direction_right) AS INT64) AS direction_stated,
      COALESCE(SUM(IF(scale > 0, loss / scale, NULL)), 0) AS loss,
      COALESCE(SUM(IF(scale > 0, walk_loss / scale, NULL)), 0) AS walk_loss,
      COALESCE(SUM(IF(scale > 0, absolute_error / last_close / scale, NULL)), 0) AS error,
      COALESCE(SUM(IF(scale > 0, walk_error / last_close / scale, NULL)), 0) AS walk_error,
      MAX(scored_at) AS scored_at
    FROM (
      SELECT *
      FROM score_revisions
      WHERE cutoff BETWEEN DATE_SUB(@first, INTERVAL 45 DAY) AND @last AND target_date BETWEEN @first AND @last
        AND scored_at <= @until
      QUALIFY ROW_NUMBER() OVER (
        PARTITION BY symbol, frequency, role, model_name, cutoff, cutoff_at, step, simulated
        ORDER BY revision DESC, scored_at DESC, basis
      ) = 1
    )
    WHERE NOT simulated AND NOT model_has_seen AND NOT doubtful
    GROUP BY model_name, model_version, role, symbol, frequency, step, block, month, has_scale
  )
  SELECT *, 'both' AS grain FROM added
  UNION ALL
  SELECT
    model_name, model_version, role, symbol, frequency, 0, block, month, has_scale,
    CAST(SUM(n) AS INT64), CAST(SUM(backfilled) AS INT64), CAST(SUM(inside_80) AS INT64),
    CAST(SUM(inside_95) AS INT64), CAST(SUM(direction_right) AS INT64), CAST(SUM(direction_stated) AS INT64),
    SUM(loss), SUM(walk_loss), SUM(error), SUM(walk_error), MAX(scored_at), 'symbol'
  FROM added
  GROUP BY model_name, model_version, role, symbol, frequency, block, month, has_scale
  UNION ALL
  SELECT
    model_name, model_version, role, '*', frequency, step, block, month, has_scale,
    CAST(SUM(n) AS INT64), CAST(SUM(backfilled) AS INT64), CAST(SUM(inside_80) AS INT64),
    CAST(SUM(inside_95) AS INT64), CAST(SUM(direction_right) AS INT64), CAST(SUM(direction_stated) AS INT64),
    SUM(loss), SUM(walk_loss), SUM(error), SUM(walk_error), MAX(scored_at), 'step'
  FROM added
  GROUP BY model_name, model_version, role, frequency, step, block, month, has_scale
) AS merged
ON FALSE
WHEN NOT MATCHED BY SOURCE AND stored.month BETWEEN @first AND @last AND stored.scored_at <= @until THEN DELETE
WHEN NOT MATCHED THEN INSERT (
  model_name, model_version, role, symbol, frequency, step, block, month, has_scale, n,
  backfilled, inside_80, inside_95, direction_right, direction_stated, loss, walk_loss, error, walk_error, scored_at, grain
) VALUES (
  model_name, model_version, role, symbol, frequency, step, block, month, has_scale, n,
  backfilled, inside_80, inside_95, direction_right, direction_stated, loss, walk_loss, error, walk_error, scored_at, grain
)
