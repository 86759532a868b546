CREATE TABLE IF NOT EXISTS digests (
  symbol STRING NOT NULL OPTIONS (description = 'The series'),
  frequency STRING NOT NULL OPTIONS (description = '1d, daily bars, or 1h, hourly ones'),
  month DATE NOT NULL OPTIONS (description = 'The first day of the month'),
  simulated BOOL NOT NULL OPTIONS (description = 'Whether the bars were simulated'),
  bars INT64 NOT NULL OPTIONS (description = 'The bars of the month'),
  digest INT64 OPTIONS (description = 'The sum of the hashes of these bars; NULL if several files make up the month'),
  object STRING NOT NULL OPTIONS (description = 'The file that last changed the month'),
  generation STRING NOT NULL OPTIONS (description = 'The version of that file'),
  written_at TIMESTAMP NOT NULL OPTIONS (description = 'When that file was written; the newest counts')
)
PARTITION BY DATE_TRUNC(month, MONTH)
CLUSTER BY symbol
OPTIONS (description = 'What the stored bars of each month are, so that an unchanged month is not read; append-only')
