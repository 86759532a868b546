CREATE TABLE IF NOT EXISTS prices (
  symbol STRING NOT NULL OPTIONS (description = 'The series, as Yahoo spells it'),
  frequency STRING NOT NULL OPTIONS (description = '1d, daily bars, or 1h, hourly ones'),
  session_date DATE NOT NULL OPTIONS (description = 'The date of the bar at its exchange; of an hourly bar the UTC day on which it opens'),
  closed_at TIMESTAMP OPTIONS (description = 'From when the close was known, of an hourly bar its end; NULL in daily rows of an earlier release'),
  open FLOAT64 NOT NULL OPTIONS (description = "Open, in the symbol's currency, split-adjusted"),
  high FLOAT64 NOT NULL OPTIONS (description = "High, in the symbol's currency, split-adjusted"),
  low FLOAT64 NOT NULL OPTIONS (description = "Low, in the symbol's currency, split-adjusted"),
  close FLOAT64 NOT NULL OPTIONS (description = "Close, in the symbol's currency, split-adjusted"),
  adj_close FLOAT64 NOT NULL OPTIONS (description = 'Close, adjusted for dividends too; the close if the source has none'),
  volume FLOAT64 OPTIONS (description = 'Units traded; NULL if the source has none'),
  simulated BOOL NOT NULL OPTIONS (description = 'Whether the bar was simulated'),
  origin STRING NOT NULL OPTIONS (description = 'live, or backfill: from a file for a date long past'),
  object STRING NOT NULL OPTIONS (description = 'The file that the bar came from'),
  generation STRING NOT NULL OPTIONS (description = 'The version of that file'),
  written_at TIMESTAMP NOT NULL OPTIONS (description = 'When that file was written; the newest counts'),
  ingested_at TIMESTAMP NOT NULL OPTIONS (description = 'When the row was stored')
)
PARTITION BY DATE_TRUNC(session_date, MONTH)
CLUSTER BY symbol
OPTIONS (description = 'Every bar that was new or differed from the one stored; append-only')
