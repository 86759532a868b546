CREATE TABLE IF NOT EXISTS scores (
  symbol STRING NOT NULL OPTIONS (description = 'The series'),
  frequency STRING NOT NULL OPTIONS (description = '1d, daily bars'),
  cutoff DATE NOT NULL OPTIONS (description = 'The forecast origin'),
  step INT64 NOT NULL OPTIONS (description = 'Sessions after the cutoff'),
  target_date DATE NOT NULL OPTIONS (description = 'The session forecast'),
  model_name STRING NOT NULL OPTIONS (description = 'The name of the model'),
  model_version STRING NOT NULL OPTIONS (description = 'Its version'),
  role STRING NOT NULL OPTIONS (description = 'The role of the forecast'),
  last_close FLOAT64 NOT NULL OPTIONS (description = 'Close at the cutoff, as it was forecast from'),
  close_median FLOAT64 NOT NULL OPTIONS (description = 'Point forecast'),
  close_lo_80 FLOAT64 NOT NULL OPTIONS (description = 'Lower end of the 80% prediction interval'),
  close_hi_80 FLOAT64 NOT NULL OPTIONS (description = 'Upper end of the 80% prediction interval'),
  close_lo_95 FLOAT64 NOT NULL OPTIONS (description = 'Lower end of the 95% prediction interval'),
  close_hi_95 FLOAT64 NOT NULL OPTIONS (description = 'Upper end of the 95% prediction interval'),
  actual_close FLOAT64 NOT NULL OPTIONS (description = 'The close that came true, in the prices of the forecast'),
  walk_loss FLOAT64 OPTIONS (description = "The random walk's loss for the same symbol, cutoff and step; NULL in its own rows"),
  scale FLOAT64 OPTIONS (description = "The width of the random walk's 80% interval, of log-returns; NULL in its own rows"),
  object STRING NOT NULL OPTIONS (description = 'The file that the forecast was made from'),
  generation STRING NOT NULL OPTIONS (description = 'The version of that file'),
  written_at TIMESTAMP NOT NULL OPTIONS (description = 'When that file was written'),
  created_at TIMESTAMP NOT NULL OPTIONS (description = 'When the forecast was stored'),
  origin STRING NOT NULL OPTIONS (description = 'live or backfill'),
  simulated BOOL NOT NULL OPTIONS (description = 'Whether the bars were simulated'),
  model_has_seen BOOL NOT NULL OPTIONS (description = 'Whether the model was trained on the cutoff'),
  doubtful BOOL NOT NULL OPTIONS (description = 'Whether a finding about the bars touches the width: such a forecast counts for no skill'),
  revision INT64 NOT NULL OPTIONS (description = '1, and one more each time that a correction scores the forecast again; the highest counts'),
  basis STRING NOT NULL OPTIONS (description = 'The file whose event stored the score: object#generation'),
  scored_at TIMESTAMP NOT NULL OPTIONS (description = 'When that file was written')
)
PARTITION BY DATE_TRUNC(cutoff, MONTH)
CLUSTER BY symbol
OPTIONS (description = 'Each forecast beside the close that came true, stored when that arrives; append-only')
