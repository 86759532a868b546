CREATE TABLE IF NOT EXISTS universes (
  as_of DATE NOT NULL OPTIONS (description = 'The last date whose bars were used'),
  rank INT64 NOT NULL OPTIONS (description = 'From 1, the highest score'),
  symbol STRING NOT NULL OPTIONS (description = 'The series'),
  score FLOAT64 NOT NULL OPTIONS (description = 'What the symbol was ranked by: a return, where 0.1 is 10%, and a log-return in rows of an earlier release; the standard deviation of log-returns, a session; the mean value traded a session; or the skill'),
  rule STRING NOT NULL OPTIONS (description = 'How it was ranked: by what, over how many sessions, and how many were taken'),
  is_held BOOL NOT NULL OPTIONS (description = 'Whether the symbol is listed only because it is held'),
  members INT64 NOT NULL OPTIONS (description = 'How many members could be ranked'),
  point_in_time BOOL NOT NULL OPTIONS (description = 'Whether it was known who was a member on that date; otherwise only survivors were ranked'),
  created_at TIMESTAMP NOT NULL OPTIONS (description = 'When the row was stored')
)
PARTITION BY DATE_TRUNC(as_of, MONTH)
CLUSTER BY symbol
OPTIONS (description = 'Every watchlist that was chosen from members, one row a symbol; append-only')
