CREATE TABLE IF NOT EXISTS order_events (
  client_id STRING NOT NULL OPTIONS (description = 'The id of the order, or of the exit of its bracket'),
  account STRING NOT NULL OPTIONS (description = 'The account at a broker'),
  symbol STRING NOT NULL OPTIONS (description = 'The series'),
  status STRING NOT NULL OPTIONS (description = 'accepted, partially_filled, filled, cancelled, expired or rejected, as the venue says; lapsed: never sent, because its time was over'),
  venue_id STRING OPTIONS (description = 'The id that the venue gave it'),
  filled FLOAT64 NOT NULL OPTIONS (description = 'What was filled by then'),
  reason STRING OPTIONS (description = 'Why it was refused or ended'),
  reported_at TIMESTAMP NOT NULL OPTIONS (description = 'The time of this state, by the clock of the venue'),
  written_at TIMESTAMP NOT NULL OPTIONS (description = 'When the row was stored')
)
PARTITION BY TIMESTAMP_TRUNC(written_at, MONTH)
CLUSTER BY account, client_id
OPTIONS (description = 'What venues said of orders, each state once; append-only')
