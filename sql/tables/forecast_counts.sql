CREATE TABLE IF NOT EXISTS forecast_counts (
  symbol STRING NOT NULL OPTIONS (description = 'The series'),
  frequency STRING NOT NULL OPTIONS (description = '1d, daily bars, or 1h, hourly ones'),
  role STRING NOT NULL OPTIONS (description = 'The role of the forecasts'),
  model_name STRING NOT NULL OPTIONS (description = 'The name of the model'),
  model_version STRING NOT NULL OPTIONS (description = 'Its version'),
  month DATE NOT NULL OPTIONS (description = 'The month of the cutoffs'),
  forecasts INT64 NOT NULL OPTIONS (description = 'Forecasts, one a cutoff'),
  days INT64 NOT NULL OPTIONS (description = 'The days of the month that are cutoffs: bit 1 is the first'),
  first_made_at TIMESTAMP NOT NULL OPTIONS (description = 'When the first of them was stored'),
  last_made_at TIMESTAMP NOT NULL OPTIONS (description = 'When the last of them was stored'),
  first_cutoff DATE NOT NULL OPTIONS (description = 'The earliest cutoff'),
  last_cutoff DATE NOT NULL OPTIONS (description = 'The latest cutoff'),
  counted_through TIMESTAMP NOT NULL OPTIONS (description = 'Forecasts stored later are not counted; the same in each row')
)
PARTITION BY DATE_TRUNC(month, MONTH)
CLUSTER BY symbol
OPTIONS (description = 'How many forecasts of real bars count, by month and version, for model_history; counted anew by compact')
