CREATE TABLE IF NOT EXISTS ingestions (
  object STRING NOT NULL OPTIONS (description = 'The uploaded file'),
  generation INT64 NOT NULL OPTIONS (description = 'The version of that file'),
  symbol STRING OPTIONS (description = 'The series; NULL if the file could not be read that far'),
  status STRING NOT NULL OPTIONS (description = 'forecast, rejected or superseded'),
  reason STRING OPTIONS (description = 'Why it was rejected, or a remark on the forecast'),
  origin STRING OPTIONS (description = 'live, or backfill: requested for a date long past'),
  simulated BOOL OPTIONS (description = 'Whether the bars were simulated; NULL if there were none'),
  `rows` INT64 NOT NULL OPTIONS (description = 'Bars stored'),
  cutoff DATE OPTIONS (description = 'The forecast origin; NULL if nothing was forecast'),
  model_version STRING OPTIONS (description = "The champion's version; NULL if nothing was forecast"),
  event_id STRING OPTIONS (description = 'The first event that was handled for the file'),
  received_at TIMESTAMP NOT NULL OPTIONS (description = 'When that event arrived'),
  duration_ms FLOAT64 NOT NULL OPTIONS (description = "Milliseconds from the event's arrival to this row")
)
PARTITION BY TIMESTAMP_TRUNC(received_at, MONTH)
CLUSTER BY object
OPTIONS (description = 'The status of every file, one row a symbol; append-only')
