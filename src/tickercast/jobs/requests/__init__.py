"""Request forecasts, and read the results of each request."""
