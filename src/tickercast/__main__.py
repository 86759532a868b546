"""`python -m tickercast` is the command `tickercast`."""

from tickercast.start import run

run()
