-- The skill of every model, over all and by symbol or by step, not by both.
SELECT * FROM forecast_skill WHERE symbol IS NULL OR step IS NULL
