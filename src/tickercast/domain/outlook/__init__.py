"""What stored forecasts say together: joint paths, odds and portfolios."""
