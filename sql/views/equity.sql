-- The equity of each strategy on paper, one row per account and bar on which was decided: as the venue said, after fees.
-- The gain of the whole time and the loss since a former peak are of the strategy in that account.
CREATE OR REPLACE VIEW equity AS
SELECT
  account, broker, strategy, strategy_hash, frequency, cutoff, cutoff_at, currency, cash, equity,
  equity / FIRST_VALUE(equity) OVER (PARTITION BY account, strategy ORDER BY cutoff_at, recorded_at) - 1 AS gain,
  1 - equity / MAX(equity) OVER (
    PARTITION BY account, strategy ORDER BY cutoff_at, recorded_at ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
  ) AS drawdown,
  simulated
FROM account_states
