"""The door: `python src/main.py MSFT 2023-07-22` is `tickercast forecast MSFT 2023-07-22`."""

import sys

from tickercast.start import run

run(["forecast", *sys.argv[1:]])
