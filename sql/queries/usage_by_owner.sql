-- The calls of every token since a day.
SELECT token_id, owner, CAST(SUM(calls) AS INT64) AS calls, MAX(last_at) AS last_at
FROM usage
WHERE day >= @since
GROUP BY token_id, owner
ORDER BY calls DESC, token_id
