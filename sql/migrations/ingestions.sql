-- Adds: origin STRING, simulated BOOL
-- Rows of earlier releases. The first kept the origin in the object's name and 'simulated' in the reason; its rows are
-- NULL in the columns of the second.
SELECT
  object,
  CAST(generation AS STRING) AS generation,
  TIMESTAMP_MICROS(generation) AS written_at,
  symbol,
  '1d' AS frequency,
  status,
  IF(reason = 'simulated', NULL, reason) AS reason,
  CAST(NULL AS STRING) AS findings,
  COALESCE(ledger.origin, IF(object LIKE '%/backfill-%', 'backfill', 'live')) AS origin,
  COALESCE(ledger.simulated, IF(status = 'forecast', COALESCE(reason = 'simulated', FALSE), NULL)) AS simulated,
  `rows`,
  `rows` AS rows_new,
  cutoff,
  CAST(NULL AS TIMESTAMP) AS cutoff_at,
  model_version,
  CAST(NULL AS DATE) AS results_date,
  CAST(NULL AS STRING) AS results_session,
  CAST(NULL AS BOOL) AS results_predicted,
  event_id, received_at, duration_ms,
  CAST(NULL AS INT64) AS memory_mib,
  CAST(NULL AS INT64) AS bytes_loaded,
  CAST(NULL AS INT64) AS bytes_queried
FROM ingestions_before AS ledger
