CREATE TABLE IF NOT EXISTS prices (
  symbol STRING NOT NULL OPTIONS (description = 'The series, as Yahoo spells it'),
  session_date DATE NOT NULL OPTIONS (description = 'The date of the bar'),
  open FLOAT64 NOT NULL OPTIONS (description = 'Currency of the symbol, split-adjusted'),
  high FLOAT64 NOT NULL OPTIONS (description = 'Currency of the symbol, split-adjusted'),
  low FLOAT64 NOT NULL OPTIONS (description = 'Currency of the symbol, split-adjusted'),
  close FLOAT64 NOT NULL OPTIONS (description = 'Currency of the symbol, split-adjusted'),
  adj_close FLOAT64 NOT NULL OPTIONS (description = 'Close, adjusted for dividends too; the close where the source has none'),
  volume FLOAT64 OPTIONS (description = 'Units traded; NULL where the source has none'),
  object STRING NOT NULL OPTIONS (description = 'The file that brought the bar'),
  generation INT64 NOT NULL OPTIONS (description = 'The version of that file'),
  ingested_at TIMESTAMP NOT NULL OPTIONS (description = 'When the row was made')
)
PARTITION BY DATE_TRUNC(session_date, MONTH)
CLUSTER BY symbol
OPTIONS (description = 'Every daily bar that ever arrived; append-only')
