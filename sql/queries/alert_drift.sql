-- The newest day of the drift report of a frequency, one row per kind.
SELECT day, kind, n, n_drifted, furthest, furthest_score, furthest_threshold, report
FROM drift_daily
WHERE frequency = @frequency
QUALIFY day = MAX(day) OVER ()
ORDER BY kind
