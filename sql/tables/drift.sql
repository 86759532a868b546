CREATE TABLE IF NOT EXISTS drift (
  day DATE NOT NULL OPTIONS (description = 'The last session that was checked, or the last UTC day of hours'),
  kind STRING NOT NULL OPTIONS (description = 'input, prediction or performance'),
  name STRING NOT NULL OPTIONS (description = 'The feature or measure'),
  method STRING NOT NULL OPTIONS (description = 'The distance, or the measure and the side of the threshold on which it should be'),
  score FLOAT64 NOT NULL OPTIONS (description = 'The value of the distance or measure'),
  threshold FLOAT64 NOT NULL OPTIONS (description = 'Where drift begins'),
  drifted BOOL NOT NULL OPTIONS (description = 'Whether the score is beyond the threshold'),
  model_name STRING NOT NULL OPTIONS (description = 'The registered name of the champion; of the performance of a baseline in its place, that one'),
  model_version STRING NOT NULL OPTIONS (description = 'The version whose training data are the reference'),
  report STRING OPTIONS (description = 'The object that holds the report of the day'),
  created_at TIMESTAMP NOT NULL OPTIONS (description = 'When the row was stored'),
  simulated BOOL OPTIONS (description = 'Whether the bars were simulated'),
  frequency STRING OPTIONS (description = '1d or 1h; NULL in rows of earlier releases, which are of 1d')
)
PARTITION BY DATE_TRUNC(day, MONTH)
CLUSTER BY name
OPTIONS (description = 'Distances of the newest sessions from the training data of the champion; append-only')
