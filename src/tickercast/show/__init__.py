"""Output for people: tables, sentences, charts and reports, made from values."""
