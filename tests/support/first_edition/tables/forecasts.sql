CREATE TABLE IF NOT EXISTS forecasts (
  symbol STRING NOT NULL OPTIONS (description = 'The series, as Yahoo spells it'),
  cutoff DATE NOT NULL OPTIONS (description = 'The forecast origin: the last session that was known'),
  step INT64 NOT NULL OPTIONS (description = 'Sessions after the cutoff, 1 to 10'),
  target_date DATE NOT NULL OPTIONS (description = "The session forecast, on the calendar of the symbol's exchange"),
  last_close FLOAT64 NOT NULL OPTIONS (description = 'Close at the cutoff'),
  close_median FLOAT64 NOT NULL OPTIONS (description = 'Point forecast'),
  close_lo_80 FLOAT64 NOT NULL OPTIONS (description = 'Lower end of the 80 % prediction interval'),
  close_hi_80 FLOAT64 NOT NULL OPTIONS (description = 'Upper end of the 80 % prediction interval'),
  close_lo_95 FLOAT64 NOT NULL OPTIONS (description = 'Lower end of the 95 % prediction interval'),
  close_hi_95 FLOAT64 NOT NULL OPTIONS (description = 'Upper end of the 95 % prediction interval'),
  model_name STRING NOT NULL OPTIONS (description = "The champion's registered name, random-walk, or shadow: the champion before it, while it may come back"),
  model_version STRING NOT NULL OPTIONS (description = 'The registered version'),
  object STRING NOT NULL OPTIONS (description = 'The file that it was made from'),
  generation INT64 NOT NULL OPTIONS (description = 'The version of that file'),
  created_at TIMESTAMP NOT NULL OPTIONS (description = 'When the row was made')
)
PARTITION BY DATE_TRUNC(cutoff, MONTH)
CLUSTER BY symbol
OPTIONS (description = 'Every forecast that was ever made; append-only')
