CREATE TABLE IF NOT EXISTS ingestions (
  object STRING NOT NULL OPTIONS (description = 'The uploaded file'),
  generation STRING NOT NULL OPTIONS (description = 'The version of that file'),
  written_at TIMESTAMP NOT NULL OPTIONS (description = 'When that file was written'),
  symbol STRING OPTIONS (description = 'The series; NULL if the file could not be read that far'),
  frequency STRING NOT NULL OPTIONS (description = '1d, daily bars, or 1h, hourly ones'),
  status STRING NOT NULL OPTIONS (description = 'forecast, rejected or superseded; stored: a file of events'),
  reason STRING OPTIONS (description = 'Why it was rejected, or a remark on the forecast'),
  findings STRING OPTIONS (description = 'What is odd about the bars; NULL if nothing is'),
  origin STRING NOT NULL OPTIONS (description = 'live, or backfill: requested for a date long past'),
  simulated BOOL OPTIONS (description = 'Whether the bars were simulated; NULL if there were none'),
  `rows` INT64 NOT NULL OPTIONS (description = 'Bars in the file'),
  rows_new INT64 NOT NULL OPTIONS (description = 'Of these, the bars that were new or differed, and so were stored'),
  cutoff DATE OPTIONS (description = 'The forecast origin; NULL if nothing was forecast'),
  cutoff_at TIMESTAMP OPTIONS (description = 'From when the close at the cutoff was known'),
  model_version STRING OPTIONS (description = "The champion's version; NULL if nothing was forecast"),
  results_date DATE OPTIONS (description = 'The results day that the forecast counts with, as it was known at the cutoff: inside the horizon, or predicted and overdue; NULL if there was none'),
  results_session STRING OPTIONS (description = 'before the open, after the close, or unknown'),
  results_predicted BOOL OPTIONS (description = "Whether that day was predicted from the symbol's own past dates"),
  event_id STRING OPTIONS (description = 'The first event that was handled for the file'),
  received_at TIMESTAMP NOT NULL OPTIONS (description = 'When that event arrived'),
  duration_ms FLOAT64 NOT NULL OPTIONS (description = "Milliseconds from the event's arrival to this row"),
  memory_mib INT64 OPTIONS (description = 'Of the instance that handled the file, in MiB; NULL outside of a cloud'),
  bytes_loaded INT64 OPTIONS (description = 'Bytes that were stored for the file before this row'),
  bytes_queried INT64 OPTIONS (description = 'Bytes that its queries were billed for')
)
PARTITION BY TIMESTAMP_TRUNC(received_at, MONTH)
CLUSTER BY object
OPTIONS (description = 'The status of every file, one row a symbol; append-only')
