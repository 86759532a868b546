-- A row counted no medians that state a direction. Where the errors are the same, each median is the last close; or they
-- cancel out, and then half of the directions are right.
UPDATE skill_blocks
SET direction_stated = IF(
  ABS(error - walk_error) > 1e-9 * ABS(walk_error) OR 2 * ABS(direction_right) >= ABS(n), n, 0
)
WHERE direction_stated IS NULL
