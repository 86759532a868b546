CREATE TABLE IF NOT EXISTS drift (
  day DATE NOT NULL OPTIONS (description = 'The last session that was looked at'),
  kind STRING NOT NULL OPTIONS (description = 'input, prediction or performance'),
  name STRING NOT NULL OPTIONS (description = 'The feature or measure'),
  method STRING NOT NULL OPTIONS (description = 'The distance, or what is measured and on which side of the threshold it is well'),
  score FLOAT64 NOT NULL OPTIONS (description = 'What it gave'),
  threshold FLOAT64 NOT NULL OPTIONS (description = 'Where drift begins'),
  drifted BOOL NOT NULL OPTIONS (description = 'Whether the score is beyond it'),
  model_name STRING NOT NULL OPTIONS (description = 'The registered name of the champion'),
  model_version STRING NOT NULL OPTIONS (description = 'The version whose training data were the reference'),
  report STRING OPTIONS (description = 'The object that holds the page about the day'),
  created_at TIMESTAMP NOT NULL OPTIONS (description = 'When the row was made'),
  note STRING OPTIONS (description = 'simulated where the bars are made up')
)
PARTITION BY DATE_TRUNC(day, MONTH)
CLUSTER BY name
OPTIONS (description = 'How far the newest sessions are from what the champion was trained on; append-only')
