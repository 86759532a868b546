-- One row per day (UTC): the files that arrived, their status, and the latency. Quantiles are by nearest rank.
CREATE OR REPLACE VIEW ingestion_health AS
WITH dated AS (
  SELECT *, DATE(received_at) AS day FROM ingestions
),
ranked AS (
  SELECT
    *,
    ROW_NUMBER() OVER (PARTITION BY day ORDER BY duration_ms) AS place,
    COUNT(*) OVER (PARTITION BY day) AS n
  FROM dated
)
SELECT
  day,
  COUNT(DISTINCT CONCAT(object, '#', generation)) AS files,
  CAST(COUNTIF(status = 'forecast') AS INT64) AS forecast,
  CAST(COUNTIF(status = 'rejected') AS INT64) AS rejected,
  CAST(COUNTIF(status = 'superseded') AS INT64) AS superseded,
  CAST(SUM(`rows`) AS INT64) AS bars,
  CAST(SUM(rows_new) AS INT64) AS bars_new,
  MIN(IF(place >= 0.5 * n, duration_ms, NULL)) AS duration_ms_p50,
  MIN(IF(place >= 0.95 * n, duration_ms, NULL)) AS duration_ms_p95,
  MAX(duration_ms) AS duration_ms_max,
  MAX(received_at) AS last_received_at
FROM ranked
GROUP BY day
