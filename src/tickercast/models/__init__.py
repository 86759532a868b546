"""Predictors: models that turn series of bars into quantiles of the coming log-returns."""
