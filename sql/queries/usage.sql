-- The calls of a token, by month, route and status, since a day.
SELECT DATE_TRUNC(day, MONTH) AS month, route, status, SUM(calls) AS calls
FROM usage
WHERE token_id = @token AND day >= @since
GROUP BY month, route, status
ORDER BY month, route, status
