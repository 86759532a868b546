"""The hourly run: refresh the models' tables at the beginning of a month, then forecast the hour that has just ended."""
