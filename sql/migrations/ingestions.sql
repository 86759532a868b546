-- Rows of the first edition, which had the origin in the object's name and wrote 'simulated' as the reason.
UPDATE ingestions
SET origin = IF(object LIKE '%/backfill-%', 'backfill', 'live'), simulated = COALESCE(reason = 'simulated', FALSE)
WHERE origin IS NULL
