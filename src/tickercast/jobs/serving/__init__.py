"""Answer an upload event with stored forecasts."""
