-- The newest stored session of some symbols, from one day up to another, and that of real bars; NULL if there is none.
SELECT MAX(session_date) AS session_date, MAX(IF(simulated, NULL, session_date)) AS real_session_date
FROM prices
WHERE frequency = @frequency AND symbol IN UNNEST(@symbols) AND session_date >= @since
  AND session_date <= @day
