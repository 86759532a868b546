CREATE TABLE IF NOT EXISTS retrains (
  day DATE NOT NULL OPTIONS (description = 'The newest session at the time of the decision'),
  kind STRING NOT NULL OPTIONS (description = 'promotion: a challenger against the champion; rollback: the champion against the one it replaced'),
  decision STRING NOT NULL OPTIONS (description = 'promoted or kept; rolled back, or confirmed: the champion stays for good'),
  reason STRING NOT NULL OPTIONS (description = 'The reason, with its numbers'),
  training STRING OPTIONS (description = 'refitted or tuned; NULL if nothing was trained'),
  cause STRING OPTIONS (description = 'The reason for tuning, or for only refitting'),
  model_name STRING NOT NULL OPTIONS (description = 'The registered name'),
  champion_version STRING NOT NULL OPTIONS (description = 'The version that was served before the decision'),
  candidate_version STRING OPTIONS (description = 'The version considered in its place: the challenger, or, for a rollback, the former champion'),
  origins INT64 NOT NULL OPTIONS (description = 'Forecast origins on which both were compared'),
  pinball_ratio FLOAT64 OPTIONS (description = "Promotion: the challenger's loss over the champion's, in a backtest; rollback: the champion's over that of the version it replaced, from actual closes"),
  pinball_ratio_lo FLOAT64 OPTIONS (description = 'Lower end of its 95% interval'),
  pinball_ratio_hi FLOAT64 OPTIONS (description = 'Upper end of its 95% interval'),
  walk_ratio FLOAT64 OPTIONS (description = "Loss over the random walk's: of the challenger, or, for a rollback, of the champion"),
  coverage_80 FLOAT64 OPTIONS (description = 'Share of closes inside the 80% intervals of the same version'),
  report STRING OPTIONS (description = 'The object that holds the comparison'),
  run_id STRING OPTIONS (description = 'The MLflow run that trained the challenger'),
  created_at TIMESTAMP NOT NULL OPTIONS (description = 'When the row was stored')
)
PARTITION BY DATE_TRUNC(day, MONTH)
CLUSTER BY model_name
OPTIONS (description = 'Decisions of the daily flow about the served model, with their numbers; append-only')
