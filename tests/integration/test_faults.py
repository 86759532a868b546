"""The function through faults at every step; see `faults`."""

import itertools
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
from tests.support.faults import ALARM, Delivery, Difference, Fault, Site, at_every_step, shuffled
from tests.support.warehouse_rows import append, span

from tickercast.backends.warehouse.duckdb import DuckDBWarehouse
from tickercast.config import resource
from tickercast.domain.bars import Bars
from tickercast.domain.files.price_files import to_csv

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
        if what == "next":
            self._site.deliver([Delivery(self.part(good, number, 0, SESSIONS - 3))])
            return self.part(good, number, 5, SESSIONS, split=0.5)
        if what == "single":
            return self._site.upload(f"ohlc/2023-07-22/G{number}.csv", to_csv([good]))
        if what == "bad":
            return self._site.upload(f"ohlc/2023-07-22/B{number}.csv", BAD)
        bad = self._make(f"S{number}", sessions=9)
        return self._site.upload(f"ohlc/2023-07-22/batch-{number:04d}.csv", to_csv([good, bad]))

    def part(self, bars: Bars, number: int, first: int, last: int, *, split: float = 1, correction: float = 1) -> dict:
        """A part of a history, after a split, and with a close corrected."""
        rows = bars.frame.iloc[first:last].copy()
        rows.loc[rows.index[-5], ["high", "close", "adj_close"]] *= correction
        rows[["open", "high", "low", "close", "adj_close"]] *= split
        as_of = f"{rows['session_date'].iloc[-1]:%Y-%m-%d}"
        return self._site.upload(f"ohlc/{as_of}/batch-{number:04d}.csv", to_csv([Bars(bars.symbol, rows)]))


@pytest.fixture
def send(site: Site, make_bars: MakeBars) -> Sender:
    return Sender(site, make_bars)


def without_a_fault(site: Site) -> bool:
    return site.difference() == Difference() and site.quarantined() == site.quarantined("clean")


CHAMPION = ["generation", "read", "read", "read"]
"""The calls of an instance that has just been started, before those of the event."""

OPEN = ["written_at", "session"]
COMPARE = ["read_arrow", "read_arrow", "read_arrow"]
REBASED = ["read_arrow", "read_arrow"]
STORE = ["append_together"]
SCORED = ["read_arrow", "read_arrow"]
END = ["append_together", "append", "close"]
RESULTS = "read_arrow"  # of the days on which the symbols report
CALLS = {
    "single": ["read_arrow", "generation", "read", RESULTS, *OPEN, *COMPARE, *STORE, *END],
    "batch": ["read_arrow", "generation", "read", RESULTS, "copy", "write", *OPEN, *COMPARE, *STORE, *END],
    "next": ["read_arrow", "generation", "read", RESULTS, *OPEN, *COMPARE, *REBASED, *STORE, *SCORED, *END],
}
WRITES = {"copy", "write", "append", "append_together", "close"}


@pytest.mark.parametrize("what", CALLS)
def test_kill_9_after_any_write_loses_and_doubles_nothing(site: Site, send: Sender, what: str) -> None:
    site.deliver([Delivery(send(what)), Delivery(send(what))])  # the first may start the instance
    assert [call.partition(".")[2] for call in site.tally.steps] == CALLS[what]
    before = site.tally.kills
    faults = [Fault(step, "kill", after=True) for step, call in enumerate(CALLS[what]) if call in WRITES]
    site.deliver([Delivery(send(what), [fault]) for fault in faults])
    assert site.tally.kills - before == len(faults)
    assert without_a_fault(site)


def test_an_event_that_is_killed_at_each_of_its_steps_in_turn_loses_and_doubles_nothing(
    site: Site, send: Sender
) -> None:
    before = site.tally.kills
    faults = [Fault(step, "kill") for step in range(len(CHAMPION) + len(CALLS["next"]))]
    site.deliver([Delivery(send("next"), faults)])
    assert site.tally.kills - before == len(faults)
    assert without_a_fault(site)


@pytest.mark.parametrize("what", CALLS)
def test_an_engine_that_refuses_at_any_step_or_loses_its_answer_changes_nothing(
    site: Site, send: Sender, what: str
) -> None:
    site.deliver([Delivery(send(what))])
    before = site.tally.answers[503]
    faults = at_every_step(len(CALLS[what]), "unavailable")
    *before_the_end, last = faults  # once the session has ended, the event is a duplicate
    site.deliver([Delivery(send(what), part) for part in (before_the_end, [last])])
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
    assert list(on_top) == [newest["data"]["generation"]]
    assert without_a_fault(site)


def test_files_of_one_symbol_in_any_order_through_faults_come_to_one_series_and_its_scores(
    site: Site, send: Sender, make_bars: MakeBars
) -> None:
    bars, chance = make_bars("WNDW", sessions=150, seed=9), random.Random(2)
    windows = [send.part(bars, 1, 20, 125), send.part(bars, 2, 22, 127, correction=1.02)]
    windows += [send.part(bars, number, 20 + number, 125 + number, split=0.5) for number in range(3, 13)]
    windows.append(send.part(bars, 13, 0, 128, split=0.5))
    kinds = ["kill", "unavailable", "bug"]
    faults = [[Fault(chance.randrange(18), kinds[n % 3], after=chance.random() < 0.5)] for n in range(len(windows))]
    faults[-1].append(Fault(30_000, ALARM))
    site.deliver(shuffled(list(map(Delivery, windows, faults)), doubled=0.5, seed=3))

    closes = site.read("latest_prices").query("symbol == 'WNDW'").sort_values("session_date")["close"]
    assert closes.to_numpy() == pytest.approx(bars.frame["close"].iloc[:137].to_numpy() / 2)
    assert len(site.read("forecast_scores").query("symbol == 'WNDW'"))
    assert without_a_fault(site)


def test_the_harness_sees_what_is_lost_and_what_is_doubled(tmp_path: Path, make_bars: MakeBars) -> None:
    site = Site(tmp_path)
    event = site.upload("ohlc/2023-07-22/MSFT.csv", b"")
    prices = make_bars(sessions=9).frame.assign(
        symbol="MSFT",
        simulated=False,
        object=event["data"]["name"],
        generation=event["data"]["generation"],
        written_at=AT,
        frequency="1d",
        origin="live",
        ingested_at=AT,
    )
    for name, rows in (("faulty", pd.concat([prices[:8], prices[:3]])), ("clean", prices)):
        warehouse = DuckDBWarehouse(site.folder(name) / "warehouse.duckdb", resource("sql"))
        append(warehouse, "spans", [span()], "spans/1")
        warehouse.append("prices", rows, key="1")
    found = site.difference()
    assert (found.rows_lost, found.rows_doubled, found.rows_unasked) == (1, 3, 11)
    assert found.unaccounted == ("ohlc/2023-07-22/MSFT.csv",)
    assert {"latest_prices", "indicators"} <= set(found.views)
