"""A day of hourly files on two coins through the function, killed (SIGKILL) at each of its steps; see `faults`."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.faults import Delivery, Difference, Fault, Site, shuffled
from tests.support.hourly import make_hours

from tickercast.domain.files.hour_files import hours_parquet

HOURS, FIRST = 24, 480
"""The hours of the day, and those before it in each file."""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    yield site
    site.close()


def events(site: Site) -> list[dict]:
    """A file of both coins for each hour of 2022-01-23; one of them is corrected on the way."""
    coins = [make_hours(symbol, hours=FIRST + HOURS, seed=seed) for symbol, seed in (("BTCUSDT", 1), ("ETHUSDT", 2))]
    return [
        site.upload(
            f"ohlc/1h/2022-01-23T{hour:02}/batch-0001.parquet",
            hours_parquet([bars.rows(hour, FIRST + hour) for bars in coins]),
        )
        for hour in range(HOURS)
    ]


def test_a_day_of_24_hours_on_two_coins_killed_at_each_step_ends_with_the_same_tables(site: Site) -> None:
    day = events(site)
    site.deliver([Delivery(day[0]), Delivery(day[1])])
    steps = len(site.tally.steps)
    assert 15 < steps <= 2 * HOURS, "each step has a kill before and after it"
    kills = [Fault(step, "kill", after) for step in range(steps) for after in (False, True)]
    plans: list[list[Fault]] = [[] for _ in day[2:]]
    for number, kill in enumerate(kills):
        plans[number % len(plans)].append(kill)
    before = site.tally.kills
    site.deliver(map(Delivery, day[2:], plans))
    assert site.tally.kills - before >= len(kills) - 1, "the last step's answer may be lost without a trace"
    assert site.difference() == Difference()
    for table, rows in (("latest_prices", 2 * (FIRST + HOURS - 1)), ("ingestions", 2 * HOURS)):
        assert len(site.read(table)) == rows
    scores = site.read("forecast_scores").query("role == 'champion'")
    assert len(scores) == 2 * HOURS * (HOURS - 1) / 2


def test_the_hours_of_a_day_in_any_order_and_twice_come_to_the_same(site: Site) -> None:
    faults = [[Fault(7, "kill", after=True)], [Fault(11, "unavailable")], []]
    site.deliver(
        shuffled([Delivery(event, faults[n % 3]) for n, event in enumerate(events(site))], doubled=0.3, seed=5)
    )
    assert site.difference() == Difference()
