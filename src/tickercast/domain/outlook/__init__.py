"""Joint analysis of stored forecasts: paths, odds and portfolios."""
