"""The function through faults at every step; see `faults`."""

import itertools
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
from tests.support.faults import ALARM, Delivery, Difference, Fault, Site, at_every_step, shuffled

from tickercast.backends.warehouse.duckdb import DuckDBWarehouse
from tickercast.config import resource
from tickercast.domain.bars import Bars
from tickercast.domain.price_files import to_csv

MakeBars = Callable[..., Bars]
AT = datetime(2023, 7, 22, 12, tzinfo=UTC)
SESSIONS = 100
BAD = b"Date,Open,High,Low,Close\n=cmd|x,1,1,1,1\n"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One for all tests: it takes long to start, and what a test leaves here must not disturb the next."""
    site = Site(tmp_path_factory.mktemp("site"))
    yield site
    site.close()


NUMBERS = itertools.count(1)


class Sender:
    """Uploads files under names of their own."""

    def __init__(self, site: Site, make_bars: MakeBars) -> None:
        self._site, self._make = site, make_bars

    def __call__(self, what: str) -> dict:
        number = next(NUMBERS)
        good = self._make(f"G{number}", sessions=SESSIONS, seed=number)
        if what == "single":
            return self._site.upload(f"ohlc/2023-07-22/G{number}.csv", to_csv([good]))
        if what == "bad":
            return self._site.upload(f"ohlc/2023-07-22/B{number}.csv", BAD)
        bad = self._make(f"S{number}", sessions=9)
        return self._site.upload(f"ohlc/2023-07-22/batch-{number:04d}.csv", to_csv([good, bad]))


@pytest.fixture
def send(site: Site, make_bars: MakeBars) -> Sender:
    return Sender(site, make_bars)


def without_a_fault(site: Site) -> bool:
    return site.difference() == Difference() and site.quarantined() == site.quarantined("clean")


CHAMPION = ["generation", "read", "read", "read"]
"""The calls of an instance that has just been started, before those of the event."""

CALLS = {
    "single": ["read", "generation", "read", "append", "append", "append"],
    "batch": ["read", "generation", "read", "copy", "write", "append", "append", "append"],
}
FIRST_WRITE = 3


@pytest.mark.parametrize("what", CALLS)
def test_kill_9_between_any_two_steps_loses_and_doubles_nothing(site: Site, send: Sender, what: str) -> None:
    before = site.tally.kills
    # What dies ahead of its first write leaves nothing behind, so that one event can do so at each step in turn.
    reads = [Fault(step, "kill") for step in range(len(CHAMPION) + FIRST_WRITE)]
    site.deliver([Delivery(send(what), reads), Delivery(send(what))])
    assert [call.partition(".")[2] for call in site.tally.steps] == CALLS[what]
    writes = [Fault(FIRST_WRITE, "kill")]
    writes += [Fault(step, "kill", after=True) for step in range(FIRST_WRITE, len(CALLS[what]))]
    site.deliver([Delivery(send(what), [fault]) for fault in writes])
    assert site.tally.kills - before == len(reads) + len(writes)
    assert without_a_fault(site)


@pytest.mark.parametrize("what", CALLS)
def test_an_engine_that_refuses_at_any_step_or_loses_its_answer_changes_nothing(
    site: Site, send: Sender, what: str
) -> None:
    site.deliver([Delivery(send(what))])
    before = site.tally.answers[503]
    faults = at_every_step(len(CALLS[what]), "unavailable")
    site.deliver([Delivery(send(what), faults)])
    assert site.tally.answers[503] - before == len(faults)
    assert without_a_fault(site)


def test_events_in_any_order_doubled_late_early_slow_and_killed_at_any_moment_come_to_the_same(
    site: Site, send: Sender, make_bars: MakeBars
) -> None:
    def vintage(seed: int, **skew: timedelta) -> dict:
        return site.upload("ohlc/2023-07-22/MSFT.csv", to_csv([make_bars(sessions=SESSIONS, seed=seed)]), **skew)

    older, newer = vintage(1), vintage(2, skew=timedelta(days=-3))
    early = [Delivery(older, [Fault(2, "bug")]), Delivery(newer)]
    plans = [
        [Fault(5, "slow")],
        [Fault(1, "bug"), Fault(2, "unavailable", after=True)],
        [Fault(40_000, ALARM), Fault(80_000, ALARM)],
        [],
    ]
    whats = ["single", "single", "batch", "bad"]
    sent = [Delivery(send(whats[n % 4]), plans[n // 4 % 4]) for n in range(22)]
    site.deliver(shuffled([*early, *sent], doubled=0.3, seed=1))

    newest = vintage(3, skew=timedelta(days=365))
    site.deliver([Delivery(newest, [Fault(4, "kill", after=True)]), Delivery(older), Delivery(newer)])
    assert site.tally.answers[500]
    assert site.tally.kills
    on_top = site.read("latest_prices").query("symbol == 'MSFT'")["generation"].unique()
    assert list(on_top) == [int(newest["data"]["generation"])]
    assert without_a_fault(site)


def test_the_harness_sees_what_is_lost_and_what_is_doubled(tmp_path: Path, make_bars: MakeBars) -> None:
    site = Site(tmp_path)
    event = site.upload("ohlc/2023-07-22/MSFT.csv", b"")
    prices = make_bars(sessions=9).frame.assign(
        symbol="MSFT",
        simulated=False,
        object=event["data"]["name"],
        generation=int(event["data"]["generation"]),
        ingested_at=AT,
    )
    for name, rows in (("faulty", pd.concat([prices[:8], prices[:3]])), ("clean", prices)):
        DuckDBWarehouse(site.folder(name) / "warehouse.duckdb", resource("sql")).append("prices", rows, key="1")
    found = site.difference()
    assert (found.rows_lost, found.rows_doubled, found.rows_unasked) == (1, 3, 11)
    assert found.unaccounted == ("ohlc/2023-07-22/MSFT.csv",)
    assert {"latest_prices", "indicators"} <= set(found.views)
