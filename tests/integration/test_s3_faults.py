"""Faults of S3 over HTTP: nothing is lost and nothing doubled, neither rows nor writes."""

import random
from collections.abc import Callable

import pytest

pytest.importorskip("moto", reason="moto is not installed")

from tests.support import s3_faults

from tickercast.domain.bars import Bars
from tickercast.domain.files.price_files import to_csv


def test_events_come_through_refusals_and_lost_answers_of_s3(make_bars: Callable[..., Bars]) -> None:
    files = [
        (f"ohlc/2023-07-21/S{number}.csv", to_csv([make_bars(f"S{number}", sessions=100)]), 1) for number in range(6)
    ]
    files += [("ohlc/2023-07-21/BAD.csv", b"not,a,price\n1,2,3\n", 0)]
    found = s3_faults.run(files, random.Random(1), faults_an_event=1)
    assert found.faults > 5
    assert found.answers[503] > 0
    assert (found.lost, found.doubled) == (0, 0), found
