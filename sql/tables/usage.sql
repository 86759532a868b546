CREATE TABLE IF NOT EXISTS usage (
  day DATE NOT NULL OPTIONS (description = 'The day of the first of the calls, UTC'),
  token_id STRING NOT NULL OPTIONS (description = 'The id of the token; empty where none was needed'),
  owner STRING NOT NULL OPTIONS (description = 'Who the token was made for'),
  route STRING NOT NULL OPTIONS (description = 'What was called, as the API declares it'),
  status INT64 NOT NULL OPTIONS (description = 'The status of the answers'),
  calls INT64 NOT NULL OPTIONS (description = 'How many of these were answered'),
  seconds FLOAT64 NOT NULL OPTIONS (description = 'The time that they took together, in seconds'),
  instance STRING NOT NULL OPTIONS (description = 'The process that answered'),
  first_at TIMESTAMP NOT NULL OPTIONS (description = 'When the first was answered'),
  last_at TIMESTAMP NOT NULL OPTIONS (description = 'When the last was answered')
)
PARTITION BY DATE_TRUNC(day, MONTH)
CLUSTER BY token_id
OPTIONS (description = 'Calls of the API in bundles, one row a token, route and status; append-only')
