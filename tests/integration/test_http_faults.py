"""Faults of Google's services over HTTP: nothing is lost, nothing doubled, and no answer is a traceback."""

import random
from collections.abc import Callable

from tests.support import http_faults

from tickercast.domain.bars import Bars
from tickercast.domain.files.price_files import to_csv


def test_events_come_through_refusals_and_lost_answers_of_both_services(make_bars: Callable[..., Bars]) -> None:
    files = [
        (f"ohlc/2023-07-21/S{number}.csv", to_csv([make_bars(f"S{number}", sessions=100)]), 1) for number in range(4)
    ]
    files += [("ohlc/2023-07-21/BAD.csv", b"not,a,price\n1,2,3\n", 0)]
    found = http_faults.run(files, random.Random(1), faults_an_event=2)
    assert found.faults > 3
    assert found.deliveries > len(files)
    assert (found.lost, found.doubled, found.tracebacks) == (0, 0, 0), found
