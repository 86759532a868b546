-- The scores of a portfolio, each cutoff and step once: the newest, which replaces one that was dated otherwise.
SELECT
  cutoff, step, target_date, currency, value, value_at_risk_95, value_at_risk_99, expected_shortfall_95, gain,
  simulated, counts
FROM portfolio_scores
WHERE portfolio = @portfolio
QUALIFY ROW_NUMBER() OVER (PARTITION BY cutoff, step ORDER BY scored_at DESC) = 1
ORDER BY step, cutoff
