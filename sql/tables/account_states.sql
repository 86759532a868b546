CREATE TABLE IF NOT EXISTS account_states (
  account STRING NOT NULL OPTIONS (description = 'The account at a broker'),
  broker STRING NOT NULL OPTIONS (description = 'The broker, as it was named, without secrets'),
  strategy STRING NOT NULL OPTIONS (description = 'The strategy with the parameters that were changed'),
  strategy_hash STRING NOT NULL OPTIONS (description = 'Eight letters that another strategy or parameter would change'),
  frequency STRING NOT NULL OPTIONS (description = '1d, daily bars, or 1h, hourly ones'),
  cutoff DATE NOT NULL OPTIONS (description = 'The date of the newest bar'),
  cutoff_at TIMESTAMP NOT NULL OPTIONS (description = 'When its close was known'),
  currency STRING NOT NULL OPTIONS (description = 'The currency of all amounts'),
  cash FLOAT64 NOT NULL OPTIONS (description = 'What is not invested'),
  equity FLOAT64 NOT NULL OPTIONS (description = 'Cash and positions, as the venue says'),
  simulated BOOL NOT NULL OPTIONS (description = 'Whether the exchange or the bars are simulated'),
  recorded_at TIMESTAMP NOT NULL OPTIONS (description = 'When it was asked for')
)
PARTITION BY DATE_TRUNC(cutoff, MONTH)
CLUSTER BY account
OPTIONS (description = 'The accounts of strategies after each bar on which was decided; append-only')
