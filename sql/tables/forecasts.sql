CREATE TABLE IF NOT EXISTS forecasts (
  symbol STRING NOT NULL OPTIONS (description = 'The series, as Yahoo spells it'),
  frequency STRING NOT NULL OPTIONS (description = '1d, daily bars, or 1h, hourly ones'),
  cutoff DATE NOT NULL OPTIONS (description = 'The forecast origin: the last session that was known, or the UTC day of the last hour'),
  cutoff_at TIMESTAMP OPTIONS (description = 'From when the close at the cutoff was known; NULL in rows of an earlier release'),
  step INT64 NOT NULL OPTIONS (description = 'Sessions after the cutoff, 1 to 10, or hours, 1 to 24'),
  target_date DATE NOT NULL OPTIONS (description = "The session forecast, on the calendar of the symbol's exchange, or the UTC day of the hour"),
  target_at TIMESTAMP OPTIONS (description = 'From when the close forecast is known; NULL in rows of an earlier release'),
  last_close FLOAT64 NOT NULL OPTIONS (description = 'Close at the cutoff'),
  close_median FLOAT64 NOT NULL OPTIONS (description = 'Point forecast'),
  close_lo_80 FLOAT64 NOT NULL OPTIONS (description = 'Lower end of the 80% prediction interval'),
  close_hi_80 FLOAT64 NOT NULL OPTIONS (description = 'Upper end of the 80% prediction interval'),
  close_lo_95 FLOAT64 NOT NULL OPTIONS (description = 'Lower end of the 95% prediction interval'),
  close_hi_95 FLOAT64 NOT NULL OPTIONS (description = 'Upper end of the 95% prediction interval'),
  quantiles ARRAY<FLOAT64> OPTIONS (description = 'Log-returns since the cutoff at thirteen levels, from 2.5% to 97.5%; empty for the random walk, a Gaussian that its intervals state, and in rows of an earlier release'),
  model_name STRING NOT NULL OPTIONS (description = 'The name of the model'),
  model_version STRING NOT NULL OPTIONS (description = 'The registered version'),
  role STRING NOT NULL OPTIONS (description = 'champion: the forecast that people see; companion: served beside it; baseline: what the others are compared with; shadow: a former champion on probation'),
  origin STRING NOT NULL OPTIONS (description = 'live, or backfill: requested for a date long past'),
  simulated BOOL NOT NULL OPTIONS (description = 'Whether the forecast was made from simulated bars'),
  model_has_seen BOOL NOT NULL OPTIONS (description = 'Whether it backfills a cutoff that the model was trained on'),
  doubtful BOOL NOT NULL OPTIONS (description = 'Whether a finding about the bars touches the width: such a forecast counts for no skill'),
  object STRING NOT NULL OPTIONS (description = 'The file that the forecast was made from'),
  generation STRING NOT NULL OPTIONS (description = 'The version of that file'),
  written_at TIMESTAMP NOT NULL OPTIONS (description = 'When that file was written; of several forecasts the newest counts'),
  created_at TIMESTAMP NOT NULL OPTIONS (description = 'When the row was stored')
)
PARTITION BY DATE_TRUNC(cutoff, MONTH)
CLUSTER BY symbol
OPTIONS (description = 'Every forecast ever made; append-only')
