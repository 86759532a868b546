"""Choose a watchlist from the members of a universe, by nothing that was not known on its date, and store it."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta

import numpy as np
import pandas as pd

from tickercast.domain.bars import Bars, Reading
from tickercast.domain.signals import traded_value
from tickercast.domain.universe import Members, Universe, ranked, rule_of, scores
from tickercast.errors import Permanent, UsageError
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
        members: who was a member when.
        as_of: the last date whose bars may be used.
        reading: the bars of members and of what is held; later ones are left out.
        by: one of `domain.universe.RULES`.
        over: the sessions that are looked at.
        top: how many are taken.
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
        score, failures = _skill(everybody, as_of, over, warehouse)
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
    symbols: Sequence[str], as_of: date, over: int, warehouse: Warehouse
) -> tuple[Mapping[str, float], Mapping[str, str]]:
    first = as_of - span(over) + _HOLIDAYS
    found = ask(warehouse, "universe_skill", first=first, last=as_of, earliest=first - timedelta(days=45))
    score = dict(zip(found["symbol"], found["score"].astype(float), strict=True))
    failures = {
        each: f"No forecast of {each} came true between {first} and {as_of}: some were needed to rank it by skill."
        for each in symbols
        if each not in score
    }
    return {each: score[each] for each in symbols if each in score}, failures


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
