-- One row per symbol: the champion's newest forecast of its last step up to a date, the closes of the year before it, as far
-- as no gap of more than a month lies between, and the record so far. Simulated ones are left out if the symbol has real ones.
WITH known AS (
  SELECT symbol, LOGICAL_AND(simulated) AS simulated
  FROM ingestions
  WHERE status = 'forecast' AND frequency = '1d' AND (@every OR symbol IN UNNEST(@symbols))
  GROUP BY symbol
),
made AS (
  SELECT
    forecasts.symbol, cutoff, step AS sessions, target_date, last_close, close_median, close_lo_80, close_hi_80, quantiles,
    model_name, model_version, forecasts.simulated, doubtful, object, generation
  FROM forecasts
  INNER JOIN known ON forecasts.symbol = known.symbol AND forecasts.simulated = known.simulated
  WHERE role = 'champion' AND frequency = '1d' AND cutoff BETWEEN @since AND @until
    AND (@every OR forecasts.symbol IN UNNEST(@symbols))
    AND NOT IS_NAN(close_median) -- which a damaged model gave up to 0.2.0
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY forecasts.symbol
    ORDER BY cutoff DESC, origin = 'backfill', written_at DESC, generation DESC, step DESC
  ) = 1
),
bars AS (
  SELECT
    symbol, session_date, adj_close,
    DATE_DIFF(session_date, LAG(session_date) OVER before, DAY) > 31 AS follows_gap,
    close / LAG(close) OVER before - 1 AS change
  FROM latest_prices
  WHERE frequency = '1d' AND session_date BETWEEN @first_bar AND @until AND (@every OR symbol IN UNNEST(@symbols))
  WINDOW before AS (PARTITION BY symbol ORDER BY session_date)
),
gaps AS (
  SELECT bars.symbol, MAX(bars.session_date) AS ended
  FROM bars
  INNER JOIN made ON bars.symbol = made.symbol AND bars.session_date <= made.cutoff
  WHERE follows_gap
  GROUP BY bars.symbol
),
year AS (
  SELECT
    bars.symbol,
    ARRAY_AGG(bars.adj_close ORDER BY bars.session_date) AS closes,
    MAX(IF(bars.session_date = made.cutoff AND NOT COALESCE(follows_gap, FALSE), bars.change, NULL)) AS change
  FROM bars
  INNER JOIN made ON bars.symbol = made.symbol AND bars.session_date <= made.cutoff
  LEFT JOIN gaps ON bars.symbol = gaps.symbol
  WHERE gaps.ended IS NULL OR bars.session_date >= gaps.ended
  GROUP BY bars.symbol
),
record AS (
  SELECT model_name, symbol, n, coverage_80, verdict
  FROM forecast_skill
  WHERE role = 'champion' AND frequency = '1d' AND step IS NULL AND (@every OR symbol IN UNNEST(@symbols))
),
found AS (
  SELECT symbol, object, generation, MAX(findings) AS findings
  FROM ingestions
  WHERE status = 'forecast' AND frequency = '1d' AND cutoff BETWEEN @since AND @until
  GROUP BY symbol, object, generation
)
SELECT
  made.symbol, made.cutoff, made.last_close, year.change, made.sessions, made.target_date, made.close_median,
  made.close_lo_80, made.close_hi_80, made.quantiles, made.model_name, made.model_version, made.simulated, made.doubtful,
  year.closes, record.coverage_80, record.n, COALESCE(record.verdict, 'too early') AS verdict, found.findings
FROM made
LEFT JOIN year ON made.symbol = year.symbol
LEFT JOIN record ON made.symbol = record.symbol AND made.model_name = record.model_name
LEFT JOIN found ON made.symbol = found.symbol AND made.object = found.object AND made.generation = found.generation
ORDER BY made.symbol
