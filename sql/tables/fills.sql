CREATE TABLE IF NOT EXISTS fills (
  fill_id STRING NOT NULL OPTIONS (description = 'The id that the venue gave it'),
  client_id STRING NOT NULL OPTIONS (description = 'The id of the order, or of the exit of its bracket'),
  account STRING NOT NULL OPTIONS (description = 'The account at a broker'),
  strategy STRING NOT NULL OPTIONS (description = 'The strategy with the parameters that were changed'),
  strategy_hash STRING NOT NULL OPTIONS (description = 'Eight letters that another strategy or parameter would change'),
  frequency STRING NOT NULL OPTIONS (description = '1d, daily bars, or 1h, hourly ones'),
  symbol STRING NOT NULL OPTIONS (description = 'The series'),
  side STRING NOT NULL OPTIONS (description = 'buy or sell'),
  quantity FLOAT64 NOT NULL OPTIONS (description = 'Shares or coins'),
  price FLOAT64 NOT NULL OPTIONS (description = 'What was paid or got for one'),
  fee FLOAT64 NOT NULL OPTIONS (description = 'In the currency of the account'),
  basis FLOAT64 OPTIONS (description = 'Of the simulated exchange: the newest close by then, adjusted; quantities follow where the past is rebased'),
  basis_at TIMESTAMP OPTIONS (description = 'When that bar closed'),
  basis_20 FLOAT64 OPTIONS (description = 'The close 20 bars before: a correction of one bar is no rebase'),
  basis_20_at TIMESTAMP OPTIONS (description = 'When that bar closed'),
  basis_40 FLOAT64 OPTIONS (description = 'The close 40 bars before'),
  basis_40_at TIMESTAMP OPTIONS (description = 'When that bar closed'),
  filled_at TIMESTAMP NOT NULL OPTIONS (description = 'By the clock of the venue'),
  written_at TIMESTAMP NOT NULL OPTIONS (description = 'When the row was stored')
)
PARTITION BY TIMESTAMP_TRUNC(filled_at, MONTH)
CLUSTER BY account, symbol
OPTIONS (description = 'What was filled, each part once; append-only')
