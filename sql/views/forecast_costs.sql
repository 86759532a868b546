-- What each forecast cost at list prices, before what is free: its part of the file's time on an instance of one vCPU, of its
-- queries, and of a month of its rows. Where no cloud handled the file, as if on an instance of 2 GiB.
CREATE OR REPLACE VIEW forecast_costs AS
WITH newest AS (
  SELECT name, value FROM list_prices QUALIFY ROW_NUMBER() OVER (PARTITION BY name ORDER BY listed_at DESC, value) = 1
), price AS (
  SELECT
    MAX(IF(name = 'cpu', value, NULL)) AS cpu,
    MAX(IF(name = 'memory', value, NULL)) AS memory,
    MAX(IF(name = 'requests', value, NULL)) AS request,
    MAX(IF(name = 'queries', value, NULL)) AS queries,
    MAX(IF(name = 'tables', value, NULL)) AS stored
  FROM newest
), file AS (
  SELECT
    object,
    generation,
    COUNT(*) AS symbols,
    MAX(duration_ms) / 1000 AS seconds,
    COALESCE(MAX(memory_mib), 2048) / 1024 AS memory_gib,
    MAX(bytes_loaded) AS bytes_loaded,
    MAX(bytes_queried) AS bytes_queried
  FROM ingestions
  GROUP BY object, generation
)
SELECT
  ledger.symbol,
  ledger.frequency,
  ledger.cutoff,
  ledger.cutoff_at,
  ledger.received_at,
  ledger.duration_ms,
  CAST(file.symbols AS INT64) AS symbols,
  file.bytes_loaded / file.symbols AS bytes_loaded,
  file.bytes_queried / file.symbols AS bytes_queried,
  (file.seconds * (price.cpu + price.memory * file.memory_gib) + price.request) / file.symbols AS usd_compute,
  COALESCE(file.bytes_queried, 0) / POW(2, 40) * price.queries / file.symbols AS usd_queries,
  COALESCE(file.bytes_loaded, 0) / POW(2, 30) * price.stored / file.symbols AS usd_storage,
  (
    file.seconds * (price.cpu + price.memory * file.memory_gib)
    + price.request
    + COALESCE(file.bytes_queried, 0) / POW(2, 40) * price.queries
    + COALESCE(file.bytes_loaded, 0) / POW(2, 30) * price.stored
  ) / file.symbols AS usd,
  ledger.memory_mib IS NULL AS estimated,
  ledger.simulated,
  ledger.object,
  ledger.generation
FROM ingestions AS ledger
INNER JOIN file ON ledger.object = file.object AND ledger.generation = file.generation
CROSS JOIN price
WHERE ledger.status = 'forecast'
