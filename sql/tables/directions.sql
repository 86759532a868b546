CREATE TABLE IF NOT EXISTS directions (
  symbol STRING NOT NULL OPTIONS (description = 'The series, as the exchange spells it'),
  frequency STRING NOT NULL OPTIONS (description = '1h, hourly bars'),
  cutoff DATE NOT NULL OPTIONS (description = 'The UTC day of the last hour that was known'),
  cutoff_at TIMESTAMP NOT NULL OPTIONS (description = 'The end of that hour'),
  step INT64 NOT NULL OPTIONS (description = 'Hours after it: 1'),
  target_at TIMESTAMP NOT NULL OPTIONS (description = 'The end of the hour forecast'),
  last_close FLOAT64 NOT NULL OPTIONS (description = 'Close at the cutoff'),
  prob_up FLOAT64 NOT NULL OPTIONS (description = 'Probability that the hour closes higher'),
  model_name STRING NOT NULL OPTIONS (description = 'The name of the model'),
  model_version STRING NOT NULL OPTIONS (description = 'The registered version'),
  role STRING NOT NULL OPTIONS (description = 'companion: it is served beside the champion'),
  origin STRING NOT NULL OPTIONS (description = 'live, or backfill: requested for a moment long past'),
  simulated BOOL NOT NULL OPTIONS (description = 'Whether it was made from simulated bars'),
  model_has_seen BOOL NOT NULL OPTIONS (description = 'Whether the model was trained on the hour'),
  doubtful BOOL NOT NULL OPTIONS (description = 'Whether a finding touches the bars: such a forecast counts for no skill'),
  object STRING NOT NULL OPTIONS (description = 'The file that it was made from'),
  generation STRING NOT NULL OPTIONS (description = 'The version of that file'),
  written_at TIMESTAMP NOT NULL OPTIONS (description = 'When that file was written; of several forecasts the newest counts'),
  created_at TIMESTAMP NOT NULL OPTIONS (description = 'When the row was stored')
)
PARTITION BY DATE_TRUNC(cutoff, MONTH)
CLUSTER BY symbol
OPTIONS (description = 'Every forecast of a direction; append-only')
