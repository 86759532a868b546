"""The hourly models: variance with a season of 168 hours, its baselines, and the refresh of their tables."""
