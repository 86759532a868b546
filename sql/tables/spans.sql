CREATE TABLE IF NOT EXISTS spans (
  symbol STRING NOT NULL OPTIONS (description = 'The series'),
  frequency STRING NOT NULL OPTIONS (description = '1d, daily bars, or 1h, hourly ones'),
  first_session DATE NOT NULL OPTIONS (description = 'The first bar in the file'),
  last_session DATE NOT NULL OPTIONS (description = 'The last bar in the file'),
  first_closed_at TIMESTAMP OPTIONS (description = 'Of hourly bars, when the first one ended; NULL of daily ones'),
  last_closed_at TIMESTAMP OPTIONS (description = 'Of hourly bars, when the last one ended; NULL of daily ones'),
  simulated BOOL NOT NULL OPTIONS (description = 'Whether the bars were simulated'),
  object STRING NOT NULL OPTIONS (description = 'The file'),
  generation STRING NOT NULL OPTIONS (description = 'The version of that file'),
  written_at TIMESTAMP NOT NULL OPTIONS (description = 'When that file was written'),
  announced_at TIMESTAMP NOT NULL OPTIONS (description = 'When the function began to store it')
)
PARTITION BY TIMESTAMP_TRUNC(written_at, MONTH)
CLUSTER BY symbol
OPTIONS (description = 'The sessions that each file holds, stored before its bars are compared; append-only')
