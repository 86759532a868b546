-- Retires: challenger_version
UPDATE retrains SET candidate_version = challenger_version WHERE candidate_version IS NULL
