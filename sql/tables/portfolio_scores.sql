CREATE TABLE IF NOT EXISTS portfolio_scores (
  portfolio STRING NOT NULL OPTIONS (description = 'The digest of its holdings: symbols, shares and rates'),
  name STRING NOT NULL OPTIONS (description = 'The file of the holdings'),
  cutoff DATE NOT NULL OPTIONS (description = 'The forecast origin'),
  step INT64 NOT NULL OPTIONS (description = 'Dates for which the portfolio is held on which any of its symbols trades: 1, or the whole horizon'),
  target_date DATE NOT NULL OPTIONS (description = 'The last of them'),
  currency STRING NOT NULL OPTIONS (description = 'The currency of all amounts'),
  value FLOAT64 NOT NULL OPTIONS (description = 'The value at the cutoff'),
  value_at_risk_95 FLOAT64 NOT NULL OPTIONS (description = 'The loss that was to be exceeded in 5% of cases'),
  value_at_risk_99 FLOAT64 NOT NULL OPTIONS (description = 'The loss that was to be exceeded in 1% of cases; extrapolated beyond the stored quantiles'),
  expected_shortfall_95 FLOAT64 NOT NULL OPTIONS (description = 'The mean loss of the worst 5% of paths'),
  gain FLOAT64 NOT NULL OPTIONS (description = 'What the portfolio gained; negative for a loss'),
  simulated BOOL NOT NULL OPTIONS (description = 'Whether a forecast was made from simulated bars'),
  counts BOOL NOT NULL OPTIONS (description = 'Whether the row counts for the record: no model had seen the target, no forecast is doubtful'),
  scored_at TIMESTAMP NOT NULL OPTIONS (description = 'When the row was stored')
)
PARTITION BY DATE_TRUNC(cutoff, MONTH)
CLUSTER BY portfolio
OPTIONS (description = 'What portfolios were said to lose, and what came; append-only')
