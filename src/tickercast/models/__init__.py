"""Predictors: each turns price histories into quantiles of the coming log-returns."""
