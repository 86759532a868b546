CREATE TABLE IF NOT EXISTS retrains (
  day DATE NOT NULL OPTIONS (description = 'The newest session that was known when it was decided'),
  kind STRING NOT NULL OPTIONS (description = 'promotion: a challenger against the champion; rollback: the champion against the one it replaced'),
  decision STRING NOT NULL OPTIONS (description = 'promoted or kept; rolled back, or confirmed: the champion stays for good'),
  reason STRING NOT NULL OPTIONS (description = 'Why, in words with the numbers'),
  training STRING OPTIONS (description = 'refitted or tuned; NULL where nothing was trained'),
  cause STRING OPTIONS (description = 'Why it was tuned, or only refitted'),
  model_name STRING NOT NULL OPTIONS (description = 'The registered name'),
  champion_version STRING NOT NULL OPTIONS (description = 'The version that was served before the decision'),
  challenger_version STRING OPTIONS (description = 'The version that was to replace it; for a rollback the one that it had replaced'),
  origins INT64 NOT NULL OPTIONS (description = 'Forecast origins that both were compared on'),
  pinball_ratio FLOAT64 OPTIONS (description = "Promotion: the challenger's loss over the champion's, by a backtest; rollback: the champion's over that of the one it replaced, as it came true"),
  pinball_ratio_lo FLOAT64 OPTIONS (description = 'Lower end of its 95 % interval'),
  pinball_ratio_hi FLOAT64 OPTIONS (description = 'Upper end of its 95 % interval'),
  walk_ratio FLOAT64 OPTIONS (description = "Loss over the random walk's, of the challenger, for a rollback of the champion"),
  coverage_80 FLOAT64 OPTIONS (description = "How often the 80 % intervals of the same one held"),
  report STRING OPTIONS (description = 'The object that holds the comparison'),
  run_id STRING OPTIONS (description = 'The MLflow run that trained the challenger'),
  created_at TIMESTAMP NOT NULL OPTIONS (description = 'When the row was made')
)
PARTITION BY DATE_TRUNC(day, MONTH)
CLUSTER BY model_name
OPTIONS (description = 'What the daily flow decided about the served model, and on which numbers; append-only')
