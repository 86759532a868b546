-- Each stored forecast beside the close that came true, as soon as that has arrived. Of several with the same cutoff the
-- newest file's counts that was made before the close; one that was made later counts only if there is no other, and a
-- backfill only if there is no live one.
--
-- The move from the cutoff to the target is the ratio of their closes on one basis, and is applied to the forecast's own
-- last close, which may be on the basis of that day. A correction of a close scores its forecasts again.
--
-- Losses are of log-returns. `scale`, the width of the random walk's 80% interval, makes them comparable between symbols,
-- dates and steps; `walk_loss` is the random walk's loss for the same symbol, cutoff and step.
CREATE OR REPLACE VIEW forecast_scores AS
SELECT * EXCEPT (close_lo_80, close_hi_80, close_lo_95, close_hi_95, revision, basis)
FROM score_revisions
QUALIFY ROW_NUMBER() OVER (
  PARTITION BY symbol, frequency, role, model_name, cutoff, cutoff_at, step, simulated
  ORDER BY revision DESC, scored_at DESC, basis
) = 1
