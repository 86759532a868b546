-- The skill of every model: overall, by symbol and by step, but not by both.
SELECT * FROM forecast_skill WHERE (symbol IS NULL OR step IS NULL) AND frequency = @frequency
