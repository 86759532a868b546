-- The newest stored session of some symbols, on or before a day; NULL if there is none.
SELECT MAX(session_date) AS session_date
FROM prices
WHERE frequency = @frequency AND symbol IN UNNEST(@symbols) AND session_date <= @day
