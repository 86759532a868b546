-- The calls of a token, by month, route and status, since a day.
SELECT CAST(DATE_TRUNC(day, MONTH) AS DATE) AS month, route, status, CAST(SUM(calls) AS INT64) AS calls
FROM usage
WHERE token_id = @token AND day >= @since
GROUP BY month, route, status
ORDER BY month, route, status
