-- One row a symbol: the champion's current forecast of the last step, the last two closes, and the record so far.
WITH made AS (
  SELECT
    symbol, cutoff, step AS sessions, target_date, last_close, close_median, close_lo_80, close_hi_80,
    model_name, model_version, simulated, doubtful, object, generation, written_at
  FROM forecasts
  WHERE role = 'champion' AND frequency = @frequency AND cutoff >= @since
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY symbol ORDER BY simulated, cutoff DESC, origin = 'backfill', written_at DESC, generation DESC, step DESC
  ) = 1
),
moved AS (
  SELECT
    symbol, session_date,
    close / LAG(close) OVER (PARTITION BY symbol ORDER BY session_date) - 1 AS change
  FROM latest_prices
  WHERE frequency = @frequency AND session_date >= @since
),
record AS (
  SELECT model_name, symbol, n, coverage_80, verdict
  FROM forecast_skill
  WHERE role = 'champion' AND frequency = @frequency AND step IS NULL
),
found AS (
  SELECT symbol, object, generation, MAX(findings) AS findings, MAX(received_at) AS received_at
  FROM ingestions
  WHERE status = 'forecast' AND frequency = @frequency
  GROUP BY symbol, object, generation
)
SELECT
  made.symbol, made.cutoff, made.last_close, moved.change, made.sessions, made.target_date, made.close_median,
  made.close_lo_80, made.close_hi_80, made.model_name, made.model_version, made.simulated, made.doubtful,
  made.object, made.generation, record.coverage_80, record.n, COALESCE(record.verdict, 'too early') AS verdict, found.findings, found.received_at
FROM made
LEFT JOIN moved ON made.symbol = moved.symbol AND made.cutoff = moved.session_date
LEFT JOIN record ON made.symbol = record.symbol AND made.model_name = record.model_name
LEFT JOIN found ON made.symbol = found.symbol AND made.object = found.object AND made.generation = found.generation
ORDER BY made.symbol
