CREATE TABLE IF NOT EXISTS paper_orders (
  account STRING NOT NULL OPTIONS (description = 'The account of the simulated exchange'),
  client_id STRING NOT NULL OPTIONS (description = 'The id of the order, or of the one that is taken back'),
  action STRING NOT NULL OPTIONS (description = 'submit, or cancel'),
  symbol STRING NOT NULL OPTIONS (description = 'The series'),
  frequency STRING NOT NULL OPTIONS (description = '1d or 1h: the bars that fill it'),
  side STRING OPTIONS (description = 'buy or sell'),
  quantity FLOAT64 OPTIONS (description = 'What was ordered'),
  stop FLOAT64 OPTIONS (description = 'The stop of its bracket, as a part of the entry price; NULL without a bracket'),
  stop_limit FLOAT64 OPTIONS (description = 'How far the stop still fills, as a part of the entry price'),
  take FLOAT64 OPTIONS (description = 'Where the profit is taken, as a part of the entry price'),
  basis FLOAT64 OPTIONS (description = 'The newest close when it came, adjusted: quantities follow where the past is rebased'),
  basis_at TIMESTAMP OPTIONS (description = 'When that bar closed'),
  basis_20 FLOAT64 OPTIONS (description = 'The close 20 bars before: a correction of one bar is no rebase'),
  basis_20_at TIMESTAMP OPTIONS (description = 'When that bar closed'),
  basis_40 FLOAT64 OPTIONS (description = 'The close 40 bars before'),
  basis_40_at TIMESTAMP OPTIONS (description = 'When that bar closed'),
  received_at TIMESTAMP NOT NULL OPTIONS (description = 'When the exchange got it')
)
PARTITION BY TIMESTAMP_TRUNC(received_at, MONTH)
CLUSTER BY account
OPTIONS (description = 'What the simulated exchange was sent, each order once; append-only')
