-- The newest stored session of some symbols, on or before a day; of simulated bars only if there are no others. NULL if there
-- is none.
SELECT COALESCE(MAX(IF(simulated, NULL, session_date)), MAX(session_date)) AS session_date
FROM prices
WHERE frequency = @frequency AND symbol IN UNNEST(@symbols) AND session_date <= @day
