CREATE TABLE IF NOT EXISTS events (
  symbol STRING NOT NULL OPTIONS (description = 'The series'),
  date DATE NOT NULL OPTIONS (description = 'The day, at the exchange of the symbol'),
  session STRING NOT NULL OPTIONS (description = 'before the open, after the close, or unknown'),
  kind STRING NOT NULL OPTIONS (description = 'results: the company reports its results'),
  source STRING NOT NULL OPTIONS (description = 'Who said so: sec, yahoo, or as the file says'),
  known_at TIMESTAMP NOT NULL OPTIONS (description = 'From when it was known: a forecast uses it if its cutoff is not earlier'),
  object STRING NOT NULL OPTIONS (description = 'The file'),
  generation STRING NOT NULL OPTIONS (description = 'The version of that file'),
  written_at TIMESTAMP NOT NULL OPTIONS (description = 'When that file was written')
)
PARTITION BY DATE_TRUNC(date, MONTH)
CLUSTER BY symbol
OPTIONS (description = 'Days on which companies report, one row each time that something new was known of one; append-only')
