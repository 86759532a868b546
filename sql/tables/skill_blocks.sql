CREATE TABLE IF NOT EXISTS skill_blocks (
  model_name STRING NOT NULL OPTIONS (description = 'The name of the model'),
  model_version STRING NOT NULL OPTIONS (description = 'Its version'),
  role STRING NOT NULL OPTIONS (description = 'The role of the forecasts'),
  symbol STRING NOT NULL OPTIONS (description = 'The series; * where the grain is step'),
  frequency STRING NOT NULL OPTIONS (description = '1d, daily bars, or 1h, hourly ones'),
  step INT64 NOT NULL OPTIONS (description = 'Sessions or hours after the cutoff; 0 where the grain is symbol'),
  block INT64 NOT NULL OPTIONS (description = '28 days of cutoffs, counted from 1970'),
  month DATE NOT NULL OPTIONS (description = 'The month of the targets'),
  has_scale BOOL NOT NULL OPTIONS (description = 'Whether the random walk has forecasts to compare with'),
  n INT64 NOT NULL OPTIONS (description = 'Scores; a row that takes back replaced ones is negative'),
  backfilled INT64 NOT NULL OPTIONS (description = 'Those of them that were known when they were forecast'),
  inside_80 INT64 NOT NULL OPTIONS (description = 'Closes inside the 80% interval'),
  inside_95 INT64 NOT NULL OPTIONS (description = 'Closes inside the 95% interval'),
  direction_right INT64 NOT NULL OPTIONS (description = 'Medians on the right side of the last close'),
  direction_stated INT64 OPTIONS (description = 'Medians that differ from the last close, so that they state a direction'),
  loss FLOAT64 NOT NULL OPTIONS (description = 'Sum of the losses, each over its scale'),
  walk_loss FLOAT64 NOT NULL OPTIONS (description = "Sum of the random walk's"),
  error FLOAT64 NOT NULL OPTIONS (description = "Sum of the median's relative errors, each over its scale"),
  walk_error FLOAT64 NOT NULL OPTIONS (description = "Sum of the last close's"),
  scored_at TIMESTAMP NOT NULL OPTIONS (description = 'When the file was written whose event stored the row'),
  grain STRING OPTIONS (description = 'What compact added up: both, of each symbol and step; symbol, over steps; step, over symbols. NULL: as an event stored it, not part of any of them yet')
)
PARTITION BY DATE_TRUNC(month, MONTH)
CLUSTER BY grain, symbol
OPTIONS (description = 'Sums of scores, for the verdict; rows of the same block add up, and are merged by compact')
