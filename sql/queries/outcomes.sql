-- The closes of some sessions beside the champion's forecasts of them: those of the session before, and those of the last
-- step, which end there. A revision counts among those of one model's forecast alone, so the file is compared first.
SELECT
  symbol, cutoff, step, target_date, last_close, actual_close, close_lo_80, close_hi_80, close_lo_95, close_hi_95,
  inside_80, inside_95, simulated
FROM score_revisions
WHERE frequency = '1d' AND role = 'champion' AND target_date BETWEEN @since AND @until
  AND cutoff BETWEEN DATE_SUB(@since, INTERVAL 45 DAY) AND @until AND symbol IN UNNEST(@symbols)
  AND step IN (1, @steps)
QUALIFY ROW_NUMBER() OVER (
  PARTITION BY symbol, target_date, step
  ORDER BY
    simulated, origin = 'backfill', backfilled, written_at DESC, created_at DESC, revision DESC, scored_at DESC, model_name,
    basis
) = 1
ORDER BY symbol, step
