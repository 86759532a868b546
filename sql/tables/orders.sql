CREATE TABLE IF NOT EXISTS orders (
  client_id STRING NOT NULL OPTIONS (description = 'Our own id: a hash of account, strategy, symbol, cutoff and leg'),
  account STRING NOT NULL OPTIONS (description = 'The account at a broker'),
  broker STRING NOT NULL OPTIONS (description = 'The broker, as it was named, without secrets'),
  strategy STRING NOT NULL OPTIONS (description = 'The strategy with the parameters that were changed'),
  strategy_hash STRING NOT NULL OPTIONS (description = 'Eight letters that another strategy or parameter would change'),
  frequency STRING NOT NULL OPTIONS (description = '1d, daily bars, or 1h, hourly ones'),
  symbol STRING NOT NULL OPTIONS (description = 'The series'),
  cutoff DATE NOT NULL OPTIONS (description = 'The date of the bar on whose close it was decided'),
  cutoff_at TIMESTAMP NOT NULL OPTIONS (description = 'When that close was known'),
  leg STRING NOT NULL OPTIONS (description = 'exit, which makes a position smaller, or entry, which makes it larger'),
  side STRING NOT NULL OPTIONS (description = 'buy or sell'),
  quantity FLOAT64 NOT NULL OPTIONS (description = 'Shares or coins'),
  stop FLOAT64 OPTIONS (description = 'The stop of its bracket, as a part of the entry price; NULL without a bracket'),
  stop_limit FLOAT64 OPTIONS (description = 'How far the stop still fills, as a part of the entry price'),
  take FLOAT64 OPTIONS (description = 'Where the profit is taken, as a part of the entry price'),
  target_weight FLOAT64 OPTIONS (description = 'The share of equity that the strategy wants'),
  reason STRING NOT NULL OPTIONS (description = 'Why'),
  price FLOAT64 NOT NULL OPTIONS (description = 'The price that was seen when it was decided'),
  equity FLOAT64 NOT NULL OPTIONS (description = 'The equity of the account then'),
  written_at TIMESTAMP NOT NULL OPTIONS (description = 'When the intent was stored, before the order was sent')
)
PARTITION BY DATE_TRUNC(cutoff, MONTH)
CLUSTER BY account, symbol
OPTIONS (description = 'Every order that was meant to be sent, stored before it was; append-only')
