r"""A universe: members of an index or a list, and the watchlist of those that rank highest on a date.

>>> held = read_members("symbol,from,to\nMSFT,,\nFB,2013-12-23,2022-06-08\n", "members.csv")
>>> held.point_in_time, held.on(date(2023, 7, 21))
(True, ['MSFT'])
>>> [row.symbol for row in ranked({"A": 0.1, "B": 0.3, "C": math.nan}, 1, held={"A": 0.1})]
['B', 'A']
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from tickercast.domain.frequency import Ends
from tickercast.domain.symbols import parse_symbol
from tickercast.domain.text import shown
from tickercast.domain.titled_csv import titled_lines
from tickercast.domain.trading.signals import Bools, Floats
from tickercast.errors import UsageError

RULES = ("return", "volatility", "volume", "skill")
"""The rules by which members can be ranked."""

SURVIVORS = "Today's members: survivors only. Those that failed or left are missing, which flatters every result."
"""Said of a universe of which only the present members are known."""


@dataclass(frozen=True)
class Member:
    """A symbol, and when it was a member.

    Attributes:
        symbol: the series.
        first: the first date on which it was one; None: since ever.
        last: the last date; None: still.
    """

    symbol: str
    first: date | None = None
    last: date | None = None

    def on(self, day: date) -> bool:
        """Whether it was a member on a date."""
        return (self.first is None or self.first <= day) and (self.last is None or day <= self.last)


@dataclass(frozen=True)
class Members:
    """The members of a universe; a symbol that left and came back has several entries.

    Attributes:
        entries: the entries, at least one.
        point_in_time: whether the file says when each was a member.
    """

    entries: Sequence[Member]
    point_in_time: bool

    @property
    def symbols(self) -> list[str]:
        """All that ever were members, each once."""
        return list(dict.fromkeys(each.symbol for each in self.entries))

    def on(self, day: date) -> list[str]:
        """The members on a date."""
        return list(dict.fromkeys(each.symbol for each in self.entries if each.on(day)))

    def when(self, symbol: str, days: Ends) -> Bools:
        """Whether a symbol was a member on each of some dates: `(days,)`."""
        dates = days.astype("datetime64[D]")
        found = np.zeros(len(dates), bool)
        for each in self.entries:
            if each.symbol == symbol:
                after = dates >= np.datetime64(each.first) if each.first else np.ones(len(dates), bool)
                found |= after & (dates <= np.datetime64(each.last) if each.last else True)
        return found


def always(symbols: Sequence[str]) -> Members:
    """A universe whose members are always the same."""
    return Members([Member(symbol) for symbol in symbols], point_in_time=False)


@dataclass(frozen=True)
class Ranked:
    """A symbol of a watchlist.

    Attributes:
        rank: the rank from 1 on, the highest score first.
        symbol: the series.
        score: the score, by the rule of the universe.
        is_held: whether it is listed only because it is held.
    """

    rank: int
    symbol: str
    score: float
    is_held: bool = False


@dataclass(frozen=True)
class Universe:
    """A watchlist that was chosen from members.

    Attributes:
        as_of: the last date whose bars were used.
        rule: the rule of the ranking.
        rows: the symbols, the highest score first.
        members: the number of members that could be ranked.
        point_in_time: whether it was known who was a member on that date.
        failures: the reason for each member that could not be ranked.
    """

    as_of: date
    rule: str
    rows: Sequence[Ranked]
    members: int
    point_in_time: bool
    failures: Mapping[str, str]


@dataclass(frozen=True)
class Choice:
    """The rule by which a watchlist is chosen anew each day.

    Attributes:
        file: the members.
        by: one of `RULES`.
        over: the number of sessions that are ranked over.
        top: the number of symbols that are taken.
    """

    file: str
    by: str = "return"
    over: int = 60
    top: int = 20


def parse_choice(text: str) -> Choice:
    """Read `FILE` or `FILE:by=return,over=60,top=20`, any of them.

    >>> parse_choice("members.csv:by=skill,top=5")
    Choice(file='members.csv', by='skill', over=60, top=5)
    >>> parse_choice("gs://bucket/members.csv")
    Choice(file='gs://bucket/members.csv', by='return', over=60, top=20)

    Raises:
        UsageError: a word is none of these, or out of range.
    """
    file, colon, words = text.rpartition(":")
    if not colon or "=" not in words:
        return Choice(text)
    pairs = [_pair(word, text) for word in filter(None, words.split(","))]
    given = dict(pairs)
    if len(given) < len(pairs):
        raise UsageError(
            f"TICKERCAST_UNIVERSE is {shown(text, 80)!r}: by, over and top were needed once each at most. "
            "Leave one out."
        )
    by, over, top = (given.get(name, str(getattr(Choice, name))) for name in ("by", "over", "top"))
    whole = over.isdecimal() and top.isdecimal()
    if by not in RULES or not whole or not 2 <= int(over) <= 2_500 or not 1 <= int(top) <= 10_000:
        raise UsageError(
            f"TICKERCAST_UNIVERSE is {shown(text, 80)!r}: by={'|'.join(RULES)}, over=2 to 2500 and top=1 to 10000 were "
            "needed. Correct it."
        )
    return Choice(file, by, int(over), int(top))


def _pair(word: str, text: str) -> tuple[str, str]:
    name, _, value = word.partition("=")
    if name.strip() not in ("by", "over", "top"):
        raise UsageError(
            f"TICKERCAST_UNIVERSE is {shown(text, 80)!r}, with {shown(word, 40)!r}: FILE:by=return,over=60,top=20 was "
            "needed, any of the three. Correct it."
        )
    return name.strip(), value.strip()


def read_members(text: str, name: str) -> Members:
    """Read `symbol[,from,to]`, one membership a line, the titles in the first.

    Args:
        text: the content of the file.
        name: the name of the file, for errors.

    Raises:
        UsageError: the text is no such file.
    """
    titles, lines = titled_lines(text, name)
    if "symbol" not in titles or ("from" in titles) != ("to" in titles):
        raise UsageError(
            f"{name} begins with {shown(text.splitlines()[0], 60) if text.strip() else 'nothing'}: the title symbol "
            "was needed, and from,to beside it where it says when each was a member."
        )
    found = [_member(line, f"{name}, line {number}") for number, line in lines]
    if not found:
        raise UsageError(f"{name} has no member: at least one was needed below the titles.")
    return Members(found, "from" in titles)


def _member(line: Mapping[str, str], where: str) -> Member:
    first, last = _day(line.get("from"), where), _day(line.get("to"), where)
    if first and last and last < first:
        raise UsageError(f"{where}: the member left on {last}, before it came on {first}. Correct one of them.")
    return Member(parse_symbol((line["symbol"] or "").strip()), first, last)


def _day(word: str | None, where: str) -> date | None:
    try:
        return date.fromisoformat(word.strip()) if word and word.strip() else None
    except ValueError as error:
        raise UsageError(
            f"{where}: {shown(word or '', 20)!r} is no date: YYYY-MM-DD was needed, or nothing."
        ) from error


def rule_of(by: str, over: int, top: int) -> str:
    """The rule of a ranking, in a few words.

    >>> rule_of("return", 60, 20)
    'top 20 by return over 60 sessions'
    """
    return f"top {top} by {by} over {over} sessions"


def scores(by: str, close: Floats, value: Floats) -> Floats:
    """The scores by which members are ranked, from the last sessions of each: `(n,)`; NaN where a bar is missing.

    Args:
        by: `return` (of the whole span: 0.1 is 10%), `volatility` (standard deviation of log-returns, a session) or
            `volume` (mean value traded a session, in the symbol's currency).
        close: `(n, over + 1)`, adjusted closes, the newest last.
        value: `(n, over + 1)`, value traded.
    """
    returns = np.diff(np.log(close), axis=1)
    found: NDArray[np.float64]
    if by == "return":
        found = np.expm1(returns.sum(axis=1))
    elif by == "volatility":
        found = returns.std(axis=1, ddof=1)
    else:
        found = value[:, 1:].mean(axis=1)
    return found


def ranked(score: Mapping[str, float], top: int, *, held: Mapping[str, float] | None = None) -> list[Ranked]:
    """The members with the highest scores, then whatever else is held; equal ones by name.

    Args:
        score: the score of each member; NaN where there is none.
        top: the number of members that are taken.
        held: the score of each symbol that is held: a member keeps its true rank, others follow the last of them.
    """
    kept = held or {}
    order = [*_ordered(score), *(each for each in _ordered(kept) if each not in score)]
    every = {**kept, **score}
    rows = [Ranked(rank, symbol, every[symbol], rank > top) for rank, symbol in enumerate(order, start=1)]
    return [row for row in rows if (row.rank <= top and row.symbol in score) or row.symbol in kept]


def _ordered(score: Mapping[str, float]) -> list[str]:
    known = (symbol for symbol in score if math.isfinite(score[symbol]))
    return sorted(known, key=lambda each: (-score[each], each))
