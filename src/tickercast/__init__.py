"""tickercast: calibrated forecasts of the next ten trading sessions."""

__version__ = "0.1.0"
