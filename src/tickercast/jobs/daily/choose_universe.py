"""Choose a watchlist from the members of a universe, by nothing that was not known on its date, and store it."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta

import numpy as np
import pandas as pd

from tickercast.domain.bars import Bars, Reading
from tickercast.domain.calendar import is_over, sessions_between
from tickercast.domain.frequency import DAILY
from tickercast.domain.trading.signals import traded_value
from tickercast.domain.trading.universe import Members, Universe, ranked, rule_of, scores
from tickercast.errors import CalendarError, Permanent, UsageError
from tickercast.ports import Warehouse
from tickercast.reading.queries import ask

RANKED_BY = ("session_date", "close", "adj_close", "volume")
"""The columns of bars that members are ranked by."""

_A_WEEK_OF_FIVE = 1.45  # calendar days a session, and some holidays
_HOLIDAYS = timedelta(days=20)


def span(over: int) -> timedelta:
    """Calendar days that surely hold so many sessions and the one before them."""
    return timedelta(days=round(over * _A_WEEK_OF_FIVE)) + _HOLIDAYS


def choose_universe(
    members: Members,
    as_of: date,
    *,
    reading: Reading,
    by: str,
    over: int,
    top: int,
    held: Sequence[str],
    warehouse: Warehouse,
    now: datetime,
) -> Universe:
    """Rank the members of a date, and store those on top.

    Args:
        members: the members of the universe over time.
        as_of: the last date whose bars may be used.
        reading: the bars of members and of held symbols; later ones are left out.
        by: one of `domain.trading.universe.RULES`.
        over: the number of sessions that are ranked over.
        top: the number of symbols that are taken.
        held: symbols that stay, whatever their rank.
        warehouse: where the table `universes` is, and the scores of forecasts.
        now: the time.

    Raises:
        UsageError: no member could be ranked.
        WarehouseUnavailable: try again.
    """
    named = members.on(as_of)
    everybody = list(dict.fromkeys([*named, *held]))
    if by == "skill":
        score, failures = _skill(everybody, as_of, over, warehouse, now)
    else:
        score, failures = _by_bars(everybody, as_of, over, by, reading)
    rows = ranked(
        {each: score[each] for each in named if each in score},
        top,
        held={each: score[each] for each in held if each in score},
    )
    if not rows:
        raise UsageError(
            f"None of the {len(named):,} members of {as_of} can be ranked by {by} over {over} sessions: "
            f"{next(iter(failures.values()), 'there are none')}"
        )
    count = sum(each in score for each in named)
    made = Universe(as_of, rule_of(by, over, top), rows, count, members.point_in_time, failures)
    _store(made, warehouse, now)
    return made


def _by_bars(
    symbols: Sequence[str], as_of: date, over: int, by: str, reading: Reading
) -> tuple[Mapping[str, float], Mapping[str, str]]:
    known: list[Bars] = []
    failures: dict[str, str] = {}
    for symbol in symbols:
        try:
            known.append(_enough(reading[symbol].until(as_of), over))
        except Permanent as error:
            failures[symbol] = str(error)
        except KeyError:
            failures[symbol] = f"{symbol} has no bar: {over + 1} were needed."
    if not known:
        return {}, failures
    close = np.array([bars.columns["adj_close"] for bars in known])
    value = np.array([traded_value(bars.columns["volume"], bars.columns["close"]) for bars in known])
    found = scores(by, close, value)
    score = {bars.symbol: float(each) for bars, each in zip(known, found, strict=True)}
    for symbol in [each for each in score if not np.isfinite(score[each])]:
        del score[symbol]
        failures[symbol] = f"{symbol} has bars without a volume: one of each was needed to rank it by {by}."
    return score, failures


def _enough(bars: Bars, over: int) -> Bars:
    if len(bars) <= over:
        raise UsageError(f"{bars.symbol} has {len(bars)} bars up to {bars.cutoff}: {over + 1} were needed.")
    return bars.rows(len(bars) - over - 1, len(bars))


def _skill(
    symbols: Sequence[str], as_of: date, over: int, warehouse: Warehouse, now: datetime
) -> tuple[Mapping[str, float], Mapping[str, str]]:
    failures: dict[str, str] = {}
    since: dict[date, list[str]] = {}
    for symbol in symbols:
        try:
            since.setdefault(_first_session(symbol, as_of, over, now), []).append(symbol)
        except CalendarError as error:
            failures[symbol] = str(error)
    score: dict[str, float] = {}
    for first, own in since.items():  # the symbols of an exchange have the same sessions
        found = ask(warehouse, "universe_skill", first=first, last=as_of, earliest=first - DAILY.longest_forecast)
        known = dict(zip(found["symbol"], found["score"].astype(float), strict=True))
        score |= {each: known[each] for each in own if each in known}
        failures |= {
            each: f"No forecast of {each} came true between {first} and {as_of}: some were needed to rank it by skill."
            for each in own
            if each not in known
        }
    return score, failures


def _first_session(symbol: str, as_of: date, over: int, now: datetime) -> date:
    """The first of the last `over` sessions of a symbol's exchange that have closed, up to a date."""
    sessions = sessions_between(symbol, as_of - span(over), as_of)
    if sessions and not is_over(symbol, sessions[-1], now):
        sessions = sessions[:-1]
    return sessions[-over:][0] if sessions else as_of


def _store(made: Universe, warehouse: Warehouse, now: datetime) -> None:
    rows = pd.DataFrame(
        {
            "as_of": pd.Series([made.as_of] * len(made.rows), dtype="datetime64[s]"),
            "rank": [row.rank for row in made.rows],
            "symbol": [row.symbol for row in made.rows],
            "score": [row.score for row in made.rows],
            "rule": made.rule,
            "is_held": [row.is_held for row in made.rows],
            "members": made.members,
            "point_in_time": made.point_in_time,
        }
    )
    digest = hashlib.sha256(rows.to_csv(index=False).encode()).hexdigest()[:16]
    warehouse.append("universes", rows.assign(created_at=pd.Timestamp(now)), key=f"universes/{made.as_of}/{digest}")
