"""The hourly run: refresh the models' tables when a month begins, then forecast the hour that has just ended."""
