"""Run the function through faults: 1,000 events, duplicated and reordered, while engines and processes fail.

Every event goes through the real function in processes that are killed between any two of its steps and at arbitrary
moments, with a bucket and a DuckDB warehouse that refuse, stall or lose their answers; see `tests/support/faults.py`.
Then all tables and views are compared with those of an undisturbed run. Two hundred go the same way through the
function on AWS Lambda, with a bucket on a stand-in of S3. A hundred more events go over Google's clients to stand-ins
of Cloud Storage and BigQuery that refuse requests, lose answers and fail jobs, and a hundred over botocore to the
stand-in of S3. Thousands of bad files are read as well.
"""

import random
import tempfile
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
from exchange_calendars import get_calendar
from tests.support import http_faults, nasty, s3_faults
from tests.support.faults import ALARM, Delivery, Difference, Fault, S3Site, Site, Tally

from benchmarks import report
from tickercast.domain.bars import Bars
from tickercast.domain.files.price_files import read_prices, to_csv
from tickercast.errors import Permanent

EVENTS, ROUNDS, DOUBLED = 1000, 4, 0.3
S3_EVENTS, HTTP_EVENTS = 200, 100
BAD_FILES = 2000
LAST, SESSIONS = "2023-07-21", 100
SHARED = 20
CALLS = 16  # of an event that scores forecasts; others take fewer
SKEW = (timedelta(), timedelta(), timedelta(hours=-20), timedelta(days=300))


def main() -> None:
    """Send the events in rounds, each with newer files of some names, and write `faults.json`."""
    chance = random.Random(0)  # noqa: S311 - no secret
    found, tally = _killed(Site, chance, EVENTS, _faults)
    with s3_faults.keys():
        on_s3, s3_tally = _killed(S3Site, chance, S3_EVENTS, _s3_faults)
    over_http = http_faults.run(list(_http_files(chance)), chance, faults_an_event=1.0)
    over_s3 = s3_faults.run(list(_http_files(chance)), chance, faults_an_event=0.5)
    report.write(
        "faults",
        {
            "events_sent": EVENTS,
            "events_doubled": round(DOUBLED * EVENTS),
            "deliveries": tally.deliveries,
            "kills": tally.kills,
            "faults_injected": tally.faults.total(),
            "rows_lost": found.rows_lost,
            "rows_doubled": found.rows_doubled,
            "events_unaccounted": len(found.unaccounted),
            "views_that_differ": len(found.views),
            "s3_killed_events_sent": S3_EVENTS,
            "s3_killed_deliveries": s3_tally.deliveries,
            "s3_kills": s3_tally.kills,
            "s3_killed_faults_injected": s3_tally.faults.total(),
            "s3_rows_lost": on_s3.rows_lost,
            "s3_rows_doubled": on_s3.rows_doubled,
            "s3_events_unaccounted": len(on_s3.unaccounted),
            "s3_views_that_differ": len(on_s3.views),
            "http_events_sent": over_http.events,
            "http_deliveries": over_http.deliveries,
            "http_faults_injected": over_http.faults,
            "http_events_lost": over_http.lost,
            "http_events_doubled": over_http.doubled,
            "s3_events_sent": over_s3.events,
            "s3_deliveries": over_s3.deliveries,
            "s3_faults_injected": over_s3.faults,
            "s3_events_lost": over_s3.lost,
            "s3_events_doubled": over_s3.doubled,
            "bad_files_tried": BAD_FILES + len(nasty.FILES),
            "tracebacks": tally.answers[500] - tally.faults["bug"] + over_http.tracebacks + _tracebacks(chance),
        },
    )


def _killed(
    make: Callable[[Path], Site], chance: random.Random, events: int, faults: Callable[[random.Random], Iterator[Fault]]
) -> tuple[Difference, Tally]:
    """Send events to a site in rounds, some twice, and compare what it ends with."""
    with tempfile.TemporaryDirectory() as folder:
        site, seen = make(Path(folder)), list[Delivery]()
        for _ in range(ROUNDS):
            new = list(_deliveries(site, chance, events // ROUNDS, faults))
            again = [Delivery(delivery.event) for delivery in chance.sample([*seen, *new], round(DOUBLED * len(new)))]
            site.deliver(chance.sample([*new, *again], len(new) + len(again)))
            seen += new
        try:
            return site.difference(), site.tally
        finally:
            site.close()


def _deliveries(
    site: Site, chance: random.Random, count: int, faults: Callable[[random.Random], Iterator[Fault]]
) -> Iterator[Delivery]:
    for _ in range(count):
        name, data = _file(chance)
        yield Delivery(site.upload(name, data, skew=chance.choice(SKEW)), list(faults(chance)))


def _file(chance: random.Random) -> tuple[str, bytes]:
    """A file under one of 1,500 names, so that some recur.

    It holds one symbol, a good and a bad one together, a part of a history that many files share, or nothing good.
    """
    number = chance.randrange(1500)
    match number % 8:
        case 0:
            return f"ohlc/{LAST}/B{number}.csv", nasty.mutated(chance)
        case 3:
            part = _part(f"W{number % SHARED}", chance)
            return f"ohlc/{part.cutoff}/batch-{number:04d}.csv", to_csv([part])
        case 1 | 2:
            pair = [_bars(f"P{number}", chance, SESSIONS), _bars(f"Q{number}", chance, 9)]
            return f"ohlc/{LAST}/batch-{number:04d}.csv", to_csv(pair)
        case _:
            return f"ohlc/{LAST}/S{number}.csv", to_csv([_bars(f"S{number}", chance, SESSIONS)])


def _http_files(chance: random.Random) -> Iterator[tuple[str, bytes, int]]:
    """Files with one symbol, with two, and with nothing good, and how many symbols are forecast from each."""
    for number in range(HTTP_EVENTS):
        name = f"ohlc/{LAST}/H{number}.csv"
        match number % 5:
            case 0:
                yield name, b"not,a,price\n1,2,3\n", 0
            case 1:
                pair = [_bars(f"H{number}A", chance, SESSIONS), _bars(f"H{number}B", chance, SESSIONS)]
                yield f"ohlc/{LAST}/batch-{number:04d}.csv", to_csv(pair), 2
            case _:
                yield name, to_csv([_bars(f"H{number}", chance, SESSIONS)]), 1


def _part(symbol: str, chance: random.Random) -> Bars:
    """A part of a history of which other files hold other parts, on the basis after a split or not."""
    whole = _bars(symbol, random.Random(symbol), SESSIONS + 40)  # noqa: S311 - no secret
    start = chance.randrange(40)
    rows = whole.frame.iloc[start : start + SESSIONS].copy()
    rows[["open", "high", "low", "close", "adj_close"]] *= chance.choice((1, 1, 1, 0.5))
    return Bars(symbol, rows)


def _bars(symbol: str, chance: random.Random, sessions: int) -> Bars:
    close = 100 * np.exp(np.cumsum(np.random.default_rng(chance.randrange(10**9)).normal(0, 0.02, sessions)))
    dates = get_calendar("XNYS", start="2015-01-02", end=LAST).sessions[-sessions:].astype("datetime64[s]")
    bars = {"session_date": dates, "open": close, "high": close * 1.01, "low": close * 0.99, "close": close}
    return Bars(symbol, pd.DataFrame(bars | {"adj_close": close, "volume": 1e6}))


def _s3_faults(chance: random.Random) -> Iterator[Fault]:
    """The same for the function on AWS Lambda, whose calls of the store take longer."""
    return _faults(chance, longest_us=600_000)


def _faults(chance: random.Random, *, longest_us: int = 200_000) -> Iterator[Fault]:
    """One fault for each of an event's first deliveries; a killed instance that starts again takes four more steps."""
    while chance.random() < 0.4:
        kind = chance.choice(("kill", "kill", "unavailable", "bug", "slow", ALARM))
        step = chance.randrange(longest_us) if kind == ALARM else chance.randrange(CALLS)
        yield Fault(step, kind, after=chance.random() < 0.5)


def _tracebacks(chance: random.Random) -> int:
    """The number of bad files that raise anything but a reason."""
    files = [made() for made in nasty.FILES.values()] + [nasty.mutated(chance) for _ in range(BAD_FILES)]
    return sum(_breaks_the_reader(data) for data in files)


def _breaks_the_reader(data: bytes) -> bool:
    try:
        read_prices(data, symbol="MSFT")
    except Permanent:
        return False
    except Exception:
        return True
    return False


if __name__ == "__main__":
    main()
