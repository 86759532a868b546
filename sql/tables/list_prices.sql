CREATE TABLE IF NOT EXISTS list_prices (
  name STRING NOT NULL OPTIONS (description = 'What is priced'),
  value FLOAT64 NOT NULL OPTIONS (description = 'The list price in US dollars, before taxes'),
  free FLOAT64 NOT NULL OPTIONS (description = 'The amount that is free each month'),
  unit STRING NOT NULL OPTIONS (description = 'What the price is for'),
  source STRING NOT NULL OPTIONS (description = 'The page that says so'),
  date STRING NOT NULL OPTIONS (description = 'The month in which it was read'),
  listed_at TIMESTAMP NOT NULL OPTIONS (description = 'When the row was stored; of several prices the newest counts')
)
CLUSTER BY name
OPTIONS (description = 'List prices of Google Cloud, as each release knew them; append-only')
