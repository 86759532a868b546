CREATE TABLE IF NOT EXISTS retrains (
  day DATE NOT NULL OPTIONS (description = 'The newest session at the time of the decision, or the last UTC day of hours'),
  kind STRING NOT NULL OPTIONS (description = 'promotion: a challenger against the champion; rollback: the champion against the one it replaced'),
  decision STRING NOT NULL OPTIONS (description = "promoted, kept, or demoted: a baseline takes the champion's place; rolled back, or confirmed: the champion stays for good"),
  reason STRING NOT NULL OPTIONS (description = 'The reason, with its numbers'),
  training STRING OPTIONS (description = 'refitted or tuned; NULL if nothing was trained'),
  cause STRING OPTIONS (description = 'The reason for tuning, or for only refitting'),
  model_name STRING NOT NULL OPTIONS (description = 'The registered name'),
  champion_version STRING NOT NULL OPTIONS (description = 'The version that was served before the decision, or the baseline in its place'),
  candidate_version STRING OPTIONS (description = 'What was considered in its place: the challenger, or, for a rollback, the former champion; for a demotion, the baseline'),
  origins INT64 NOT NULL OPTIONS (description = 'Forecast origins on which both were compared'),
  pinball_ratio FLOAT64 OPTIONS (description = "Promotion: the challenger's loss over that of what was served, in a backtest; demotion: the champion's over the baseline's; rollback: the champion's over that of the version it replaced, from actual closes"),
  pinball_ratio_lo FLOAT64 OPTIONS (description = 'Lower end of its 95% interval'),
  pinball_ratio_hi FLOAT64 OPTIONS (description = 'Upper end of its 95% interval'),
  walk_ratio FLOAT64 OPTIONS (description = "Loss over the random walk's: of the challenger, or, for a rollback or demotion, of the champion"),
  coverage_80 FLOAT64 OPTIONS (description = 'Share of closes inside the 80% intervals of the same version'),
  report STRING OPTIONS (description = 'The object that holds the comparison'),
  run_id STRING OPTIONS (description = 'The MLflow run that trained the challenger'),
  created_at TIMESTAMP NOT NULL OPTIONS (description = 'When the row was stored'),
  frequency STRING OPTIONS (description = '1d or 1h; NULL in rows of earlier releases, which are of 1d')
)
PARTITION BY DATE_TRUNC(day, MONTH)
CLUSTER BY model_name
OPTIONS (description = 'Decisions of the flows about the served model, with their numbers; append-only')
