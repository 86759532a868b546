-- What forecasts cost by the day (UTC) on which their files arrived, since a day; the latency by nearest rank.
WITH ranked AS (
  SELECT
    *,
    DATE(received_at) AS day,
    ROW_NUMBER() OVER (PARTITION BY DATE(received_at) ORDER BY duration_ms) AS place,
    COUNT(*) OVER (PARTITION BY DATE(received_at)) AS n
  FROM forecast_costs
  WHERE DATE(received_at) >= @since
)
SELECT
  day,
  COUNT(DISTINCT CONCAT(object, '#', generation)) AS files,
  COUNT(*) AS forecasts,
  MIN(IF(place >= 0.5 * n, duration_ms, NULL)) AS duration_ms_p50,
  MIN(IF(place >= 0.95 * n, duration_ms, NULL)) AS duration_ms_p95,
  SUM(usd_compute) AS usd_compute,
  SUM(usd_queries) AS usd_queries,
  SUM(usd_storage) AS usd_storage,
  SUM(usd) AS usd,
  LOGICAL_OR(estimated) AS estimated
FROM ranked
GROUP BY day
ORDER BY day
