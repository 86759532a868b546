-- Retires: note
UPDATE drift SET simulated = COALESCE(note = 'simulated', FALSE) WHERE simulated IS NULL
