"""Boosted trees that forecast the next hour's direction: training and export. No other package imports XGBoost."""
