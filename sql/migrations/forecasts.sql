-- Rows of the first release, which kept the role in model_name and the rest in the object's name and the ledger's reason.
UPDATE forecasts
SET
  role = CASE model_name WHEN 'random-walk' THEN 'baseline' WHEN 'shadow' THEN 'shadow' ELSE 'champion' END,
  model_name = IF(model_name = 'shadow', 'tickercast-lstm', model_name),
  origin = IF(object LIKE '%/backfill-%', 'backfill', 'live'),
  simulated = CONCAT(object, '#', CAST(generation AS STRING), ' ', symbol) IN (
    SELECT CONCAT(object, '#', CAST(generation AS STRING), ' ', symbol)
    FROM ingestions
    WHERE symbol IS NOT NULL AND reason = 'simulated'
  ),
  model_has_seen = model_name NOT IN ('random-walk', 'shadow')
    AND CONCAT(object, '#', CAST(generation AS STRING), ' ', symbol) IN (
      SELECT CONCAT(object, '#', CAST(generation AS STRING), ' ', symbol)
      FROM ingestions
      WHERE symbol IS NOT NULL AND reason LIKE 'backfilled: the model has seen this date%'
    )
WHERE role IS NULL
