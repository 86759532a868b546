CREATE TABLE IF NOT EXISTS trading_events (
  account STRING NOT NULL OPTIONS (description = 'The account at a broker; empty: every one'),
  strategy STRING NOT NULL OPTIONS (description = 'The strategy; empty: every one'),
  action STRING NOT NULL OPTIONS (description = 'halt, resume, or limit: an order was cut or left out'),
  cause STRING NOT NULL OPTIONS (description = 'person, stop, mismatch, position, turnover or orders'),
  reason STRING NOT NULL OPTIONS (description = 'In a sentence, with what was seen'),
  cutoff_at TIMESTAMP OPTIONS (description = 'When the close was known on which was decided; NULL for what a person did'),
  happened_at TIMESTAMP NOT NULL OPTIONS (description = 'When')
)
PARTITION BY TIMESTAMP_TRUNC(happened_at, MONTH)
CLUSTER BY account
OPTIONS (description = 'Halts of trading, who resumed it, and limits that were met; append-only')
