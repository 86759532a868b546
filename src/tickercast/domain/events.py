"""Results days: when companies report, what was known of that at a cutoff, and what a network reads of it.

A forecast uses only what was known by its cutoff. Where no coming day was known, it is predicted from the symbol's own
past days: last year's plus 364 days, so that the weekday stays.

>>> reported = ("2022-07-26", "after", "2022-07-26T20:05")
>>> announced = ("2023-07-25", "after", "2023-07-06T12:00")
>>> days = ResultsDays.of("MSFT", [reported, announced])
>>> [str(day) for day in days.as_known(datetime(2023, 7, 3, 20, tzinfo=UTC)).coming]
['2023-07-25 (after the close; predicted from its own past dates)']
>>> [str(day) for day in days.as_known(datetime(2023, 7, 21, 20, tzinfo=UTC)).coming]
['2023-07-25 (after the close)']
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tickercast.domain.calendar import session_closes, session_days
from tickercast.domain.features import HORIZON

Days = NDArray[np.datetime64]
Mask = NDArray[np.bool_]
Ints = NDArray[np.int64]

BEFORE, AFTER, UNKNOWN = SESSIONS = ("before", "after", "unknown")
"""When on its date a company reports: before the open, after the close, or unknown."""

RESULTS = "results"
"""The kind of an event that is the report of a company's results."""

FARTHEST = 20
"""Sessions to or from a results day at which the network no longer tells them apart."""

LAST = 5
"""The past results days whose moves the network reads."""

SAME_RESULTS = 30
"""Days: two results days that are closer tell of the same results, moved."""

NOTHING, PREDICTED, KNOWN = 0, 1, 2
"""What is known of the results day that is nearest to a step."""

_YEAR = np.timedelta64(364, "D")
_QUARTER_APART = np.timedelta64(SAME_RESULTS, "D")
_SAME_REPORT = np.timedelta64(5, "D")  # a filing may follow the news by some days
_OVERDUE = 10  # sessions for which a predicted day still counts, when no results have come
_NOWHERE = np.int32(1 << 30)
_REACH = 500, 300  # sessions back from an origin, and ahead, within which days count
_REACH_DAYS = np.timedelta64(800, "D"), np.timedelta64(500, "D")  # longer than these


@dataclass(frozen=True)
class ResultsDay:
    """A coming results day, as it was known at some time.

    Attributes:
        day: at the company's exchange.
        session: `before`, `after` or `unknown`.
        effect: the first session whose close can answer to the results.
        is_predicted: whether it is predicted from the symbol's own past days.
    """

    day: date
    session: str
    effect: date
    is_predicted: bool

    def __str__(self) -> str:
        when = {BEFORE: "before the open", AFTER: "after the close", UNKNOWN: ""}[self.session]
        said = "; ".join(filter(None, [when, "predicted from its own past dates" if self.is_predicted else ""]))
        return f"{self.day} ({said})" if said else str(self.day)


@dataclass(frozen=True)
class Known:
    """What was known of a symbol's results days at a cutoff.

    Attributes:
        past: the days whose effect sessions had ended, in order.
        coming: the days whose effect sessions had not, in order: all known, or all predicted.
    """

    past: tuple[date, ...]
    coming: tuple[ResultsDay, ...]


class ResultsInputs(NamedTuple):
    """What a network reads of results days at n origins.

    Attributes:
        offsets: `(n, HORIZON)`, int8: sessions from each step to the effect session of the nearest results day, below
            0 where that lies before the step, cut at ±`FARTHEST`; `FARTHEST` where nothing is known.
        knowledge: `(n, HORIZON)`, int8: of that day, `NOTHING`, `PREDICTED` or `KNOWN`. A predicted day that lies
            behind the origin is overdue: no results have come.
        last: `(n, LAST)`, datetime64[D]: the effect sessions of the last past results days, newest first; NaT where
            there are fewer.
    """

    offsets: NDArray[np.int8]
    knowledge: NDArray[np.int8]
    last: Days


def nothing_known(count: int) -> ResultsInputs:
    """The inputs of `count` origins of a symbol about which nothing is known."""
    return ResultsInputs(
        np.full((count, HORIZON), FARTHEST, np.int8),
        np.full((count, HORIZON), NOTHING, np.int8),
        np.full((count, LAST), np.datetime64("NaT"), "datetime64[D]"),
    )


@dataclass(frozen=True, eq=False)
class ResultsDays:
    """The results days of one symbol, as they became known; a day that moved is there several times.

    Attributes:
        symbol: the series, as Yahoo spells it.
        dates: `(n,)`, datetime64[D], at the company's exchange, in any order.
        sessions: `(n,)`, text: `before`, `after` or `unknown`.
        known_at: `(n,)`, datetime64[us], UTC: from when each was known. A day that was known before it came was
            announced; one that was known on the day or later is a report.
    """

    symbol: str
    dates: Days
    sessions: NDArray[np.str_]
    known_at: Days

    @classmethod
    def of(cls, symbol: str, days: Iterable[tuple[str | date, str, str | datetime]]) -> "ResultsDays":
        """Results days from tuples of date, session, and the moment (UTC) from which it was known."""
        rows = list(days)
        naive = [
            known.astimezone(UTC).replace(tzinfo=None) if isinstance(known, datetime) else known for *_, known in rows
        ]
        return cls(
            symbol,
            np.array([day for day, *_ in rows], "datetime64[D]"),
            np.array([session for _, session, _ in rows], "U7"),
            np.array(naive, "datetime64[us]"),
        )

    def __len__(self) -> int:
        return len(self.dates)

    def as_known(self, cutoff_at: datetime) -> Known:
        """What was known of the symbol's results days at a moment, for example the close of a forecast's cutoff.

        Raises:
            CalendarError: the symbol's exchange is not known.
        """
        at = np.array([cutoff_at.astimezone(UTC).replace(tzinfo=None)], "datetime64[us]")
        days = self._calendar(at.astype("datetime64[D]"))
        origin = np.searchsorted(session_closes(self.symbol, days), at, side="right") - 1
        view = self._view(days, origin, at)
        past = np.unique(view.dates[view.behind[0]])
        rows = np.flatnonzero(view.ahead[0] & (view.effect > origin[0]))
        coming = {
            ResultsDay(
                view.dates[row].item(),
                str(view.sessions[row]),
                days[view.effect[row]].item(),
                bool(view.is_predicted[row]),
            )
            for row in rows
        }
        return Known(tuple(past.tolist()), tuple(sorted(coming, key=lambda day: (day.effect, day.day))))

    def inputs(self, cutoffs: Days, cutoffs_at: Days) -> ResultsInputs:
        """What a network reads at several origins, each of which sees only what was known by its cutoff.

        Args:
            cutoffs: `(n,)`, datetime64[D], the origins' sessions.
            cutoffs_at: `(n,)`, datetime64[us], UTC, the closes of these sessions.

        Raises:
            CalendarError: the symbol's exchange is not known.
        """
        cutoffs = cutoffs.astype("datetime64[D]")
        if not len(self) or not len(cutoffs):
            return nothing_known(len(cutoffs))
        days = self._calendar(cutoffs)
        origin = np.searchsorted(days, cutoffs, side="right") - 1
        view = self._view(days, origin, cutoffs_at)
        seen, effect = view.behind | view.ahead, view.effect.astype(np.int32)
        steps = origin[:, None].astype(np.int32) + np.arange(1, HORIZON + 1, dtype=np.int32)
        apart = effect - steps[:, :, None]
        nearest = np.where(seen[:, None], np.abs(apart), _NOWHERE).argmin(axis=2)
        near = np.take_along_axis(apart, nearest[:, :, None], axis=2)[:, :, 0]
        known = np.where(view.is_predicted, PREDICTED, KNOWN)[nearest]
        found = seen.any(axis=1, keepdims=True)
        newest = -np.sort(-np.where(view.behind, view.effect, -1), axis=1)[:, :LAST]
        last = np.full((len(cutoffs), LAST), np.datetime64("NaT"), "datetime64[D]")
        last[:, : newest.shape[1]][newest >= 0] = days[newest[newest >= 0]]
        return ResultsInputs(
            np.where(found, np.minimum(np.maximum(near, -FARTHEST), FARTHEST), FARTHEST).astype(np.int8),
            np.where(found, known, NOTHING).astype(np.int8),
            last,
        )

    def _calendar(self, cutoffs: Days) -> Days:
        back, ahead = _REACH_DAYS
        return session_days(self.symbol, cutoffs.min() - back, cutoffs.max() + ahead)

    def _view(self, days: Days, origin: Ints, at: Days) -> "_View":
        """What each origin sees: the days as they were known, then those that are predicted from them."""
        known, predicted = self._effects(days, self.dates), self._effects(days, self._next_year(days))
        visible = self.known_at <= at[:, None]
        apart = known.effect - origin[:, None]
        within = (known.effect >= 0) & (apart > -_REACH[0]) & (apart < _REACH[1])
        visible = visible & ~_any(visible, self._superseding) & within
        is_ahead = apart > 0
        ahead, behind = visible & is_ahead, visible & ~is_ahead
        # What was reported some weeks before a predicted day were the results that it predicts.
        came = self.dates[:, None] > predicted.dates - _QUARTER_APART
        expected = behind & (predicted.effect > origin[:, None] - _OVERDUE) & ~ahead.any(axis=1, keepdims=True)
        expected &= ~_any(behind, came)
        return _View(
            np.concatenate([known.dates, predicted.dates]),
            np.concatenate([self.sessions, self.sessions]),
            np.concatenate([known.effect, predicted.effect]),
            np.repeat([False, True], len(self)),
            np.concatenate([behind, np.zeros_like(behind)], axis=1),
            np.concatenate([ahead, expected], axis=1),
        )

    def _next_year(self, days: Days) -> Days:
        """The same days a year later, each moved to a session."""
        later = self.dates + _YEAR
        at = np.searchsorted(days, later)
        return np.where(at < len(days), days[np.minimum(at, len(days) - 1)], later) if len(days) else later

    def _effects(self, days: Days, dates: Days) -> "_Effects":
        """Each day's effect session, as its place among the sessions; −1 where those are not known."""
        after = self.sessions == AFTER
        effect = np.where(after, np.searchsorted(days, dates, "right"), np.searchsorted(days, dates, "left"))
        is_known = (effect < len(days)) & (dates >= days[0]) if len(days) else np.zeros(len(dates), bool)
        return _Effects(dates, np.where(is_known, effect, -1))

    @cached_property
    def _superseding(self) -> Mask:
        """`(n, n)`: whether the first row replaces the second one, once it is known.

        Of rows of one date, that with the session counts, else the newest; an announcement yields to a later one of
        the same results, and to their report; of reports a few days apart the first counts.
        """
        order = np.lexsort([np.arange(len(self)), self.known_at, self.sessions != UNKNOWN])
        rank = np.empty(len(self), np.int64)
        rank[order] = np.arange(len(self))
        apart = np.abs(self.dates[:, None] - self.dates)
        later = self.known_at[:, None] > self.known_at
        announced = self.known_at.astype("datetime64[D]") < self.dates
        both, neither = announced[:, None] & announced, ~announced[:, None] & ~announced
        same_date = (apart == np.timedelta64(0)) & (rank[:, None] > rank)
        moved = both & later & (apart < _QUARTER_APART)
        reported = ~announced[:, None] & announced & later & (apart < _SAME_REPORT)
        first = neither & (apart < _SAME_REPORT) & (self.dates[:, None] < self.dates)
        superseding: Mask = same_date | ((apart > np.timedelta64(0)) & (moved | reported | first))
        return superseding


class _Effects(NamedTuple):
    dates: Days
    effect: Ints


class _View(NamedTuple):
    """The known and the predicted days, m in all, and which of them n origins see behind and ahead: `(n, m)`."""

    dates: Days
    sessions: NDArray[np.str_]
    effect: Ints
    is_predicted: Mask
    behind: Mask
    ahead: Mask


def _any(seen: Mask, table: Mask) -> Mask:
    """`(n, m)`: whether any row that an origin sees says so of a day."""
    found: Mask = seen.astype(np.float32) @ table.astype(np.float32) > 0
    return found
