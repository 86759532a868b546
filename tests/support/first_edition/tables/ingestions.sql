CREATE TABLE IF NOT EXISTS ingestions (
  object STRING NOT NULL OPTIONS (description = 'The file that arrived'),
  generation INT64 NOT NULL OPTIONS (description = 'The version of that file'),
  symbol STRING OPTIONS (description = 'One row a symbol; NULL where the file could not be read that far'),
  status STRING NOT NULL OPTIONS (description = 'forecast, rejected or superseded'),
  reason STRING OPTIONS (description = 'Why it was rejected, or what must be known of the bars'),
  `rows` INT64 NOT NULL OPTIONS (description = 'Bars that were stored'),
  cutoff DATE OPTIONS (description = 'The forecast origin; NULL where nothing was forecast'),
  model_version STRING OPTIONS (description = "The champion's version; NULL where nothing was forecast"),
  event_id STRING OPTIONS (description = 'The event that was handled first'),
  received_at TIMESTAMP NOT NULL OPTIONS (description = 'When that event arrived'),
  duration_ms FLOAT64 NOT NULL OPTIONS (description = "From the event's arrival to this row")
)
PARTITION BY TIMESTAMP_TRUNC(received_at, MONTH)
CLUSTER BY object
OPTIONS (description = 'What became of every file; append-only')
