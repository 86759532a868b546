-- How much less the champion lost than the random walk on each symbol, of closes that came true between two dates.
SELECT symbol, 1 - SUM(loss / scale) / SUM(walk_loss / scale) AS score
FROM champion_scores
WHERE frequency = '1d' AND target_date BETWEEN @first AND @last AND cutoff >= @earliest AND NOT simulated
  AND NOT doubtful AND NOT model_has_seen AND scale > 0
GROUP BY symbol
HAVING SUM(walk_loss / scale) > 0
ORDER BY symbol
