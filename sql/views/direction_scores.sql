-- Each forecast of a direction beside the hour that came true, as soon as both closes are stored, whichever came first. Of
-- several for the same hour the newest file's counts that was made before the hour ended; one that was made later counts
-- only if there is no other, and a backfill only if there is no live one. A correction of a close changes the score with
-- it.
CREATE OR REPLACE VIEW direction_scores AS
WITH made AS (
  SELECT *
  FROM directions
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY symbol, frequency, cutoff, cutoff_at, step, model_name, role, simulated
    ORDER BY origin = 'backfill', created_at > target_at, written_at DESC, generation DESC, created_at DESC, object
  ) = 1
),
moved AS (
  SELECT
    made.*,
    after.close AS actual_close,
    LN(after.close / before.close) AS move
  FROM made
  INNER JOIN latest_prices AS before
    ON made.symbol = before.symbol AND made.frequency = before.frequency AND made.simulated = before.simulated
      AND made.cutoff_at = before.closed_at
  INNER JOIN latest_prices AS after
    ON made.symbol = after.symbol AND made.frequency = after.frequency AND made.simulated = after.simulated
      AND made.target_at = after.closed_at
)
SELECT
  symbol, frequency, cutoff, cutoff_at, step, target_at, last_close, prob_up, actual_close, move,
  move > 0 AS went_up,
  (prob_up >= 0.5) = (move > 0) AS is_right,
  POW(prob_up - IF(move > 0, 1, 0), 2) AS brier,
  -LN(GREATEST(IF(move > 0, prob_up, 1 - prob_up), 1e-12)) AS log_loss,
  model_name, model_version, role, origin, simulated, model_has_seen, doubtful, object, generation, written_at, created_at
FROM moved
