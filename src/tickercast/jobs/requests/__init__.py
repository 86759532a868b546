"""Ask for forecasts, and read what came of each request."""
