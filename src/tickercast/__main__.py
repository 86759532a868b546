"""`python -m tickercast` is the command `tickercast`."""

from tickercast.cli import run

run()
