-- Rows of the first release, which kept the origin in the object's name and 'simulated' in the reason.
UPDATE ingestions
SET
  origin = IF(object LIKE '%/backfill-%', 'backfill', 'live'),
  simulated = IF(status = 'forecast', COALESCE(reason = 'simulated', FALSE), NULL)
WHERE origin IS NULL
