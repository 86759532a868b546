-- The first and last cutoff that the champion has forecast from.
SELECT MIN(cutoff) AS first_cutoff, MAX(cutoff) AS last_cutoff FROM forecasts WHERE frequency = @frequency AND role = 'champion'
