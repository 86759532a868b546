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

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from tickercast.domain.calendar import calendar_name, session_closes, session_days, time_zone
from tickercast.domain.learning.features import HORIZON

Days = NDArray[np.datetime64]
Mask = NDArray[np.bool_]
Ints = NDArray[np.int64]

BEFORE, AFTER, UNKNOWN = SESSIONS = ("before", "after", "unknown")
"""The part of its date at which a company reports: before the open, after the close, or unknown."""

RESULTS = "results"
"""The kind of an event that is the report of a company's results."""

FARTHEST = 20
"""Sessions to or from a results day at which the network no longer tells them apart."""

LAST = 5
"""The past results days whose moves the network reads."""

SAME_RESULTS = 30
"""Days: two results days that are closer tell of the same results, moved."""

NOTHING, PREDICTED, KNOWN = 0, 1, 2
"""The knowledge of the results day that is nearest to a step."""

_ANNOUNCED_BEFORE = np.timedelta64(28, "D")
_YEAR = np.timedelta64(364, "D")
_QUARTER_APART = np.timedelta64(SAME_RESULTS, "D")
_SAME_REPORT = np.timedelta64(5, "D")  # a filing may follow the news by some days
_OVERDUE = 10  # sessions for which a predicted day still counts, when no results have come
_EARLIEST_OPEN = time(9, 0)  # no exchange in use opens earlier
_NOWHERE = np.int32(1 << 30)
_REACH = 500, 300  # sessions back from an origin, and ahead, within which days count
_REACH_DAYS = np.timedelta64(800, "D"), np.timedelta64(500, "D")  # longer than these


@dataclass(frozen=True)
class ResultsDay:
    """A results day that a forecast counts with, as it was known at some time.

    Attributes:
        day: the date at the company's exchange.
        session: `before`, `after` or `unknown`.
        effect: the first session whose close can answer to the results; None where the day is overdue: predicted,
            behind the cutoff, and no results have come.
        is_predicted: whether it is predicted from the symbol's own past days.
    """

    day: date
    session: str
    effect: date | None
    is_predicted: bool

    @classmethod
    def among(
        cls, targets: Sequence[date], cutoff: date, day: date, session: str, *, is_predicted: bool
    ) -> "ResultsDay | None":
        """A day that acts on one of the sessions of a forecast, `targets`, or is overdue; None if it is neither.

        >>> cutoff, targets = date(2023, 7, 21), [date(2023, 7, 24), date(2023, 7, 25), date(2023, 7, 26)]
        >>> ResultsDay.among(targets, cutoff, date(2023, 7, 25), "after", is_predicted=False).effect
        datetime.date(2023, 7, 26)
        >>> ResultsDay.among(targets, cutoff, date(2023, 7, 20), "after", is_predicted=True).effect is None
        True
        """
        if day < cutoff or (day == cutoff and session != AFTER):
            return cls(day, session, None, is_predicted) if is_predicted else None
        acts_on = [target for target in targets if target > day or (target == day and session != AFTER)]
        return cls(day, session, acts_on[0], is_predicted) if acts_on else None

    def __str__(self) -> str:
        when = {BEFORE: "before the open", AFTER: "after the close", UNKNOWN: ""}[self.session]
        said = "; ".join(filter(None, [when, "predicted from its own past dates" if self.is_predicted else ""]))
        return f"{self.day} ({said})" if said else str(self.day)


@dataclass(frozen=True)
class Known:
    """The results days of a symbol as they were known at a cutoff.

    Attributes:
        past: the days whose effect sessions had ended, in order.
        coming: the days whose effect sessions had not, in order: all known, or all predicted.
    """

    past: tuple[date, ...]
    coming: tuple[ResultsDay, ...]


class ResultsInputs(NamedTuple):
    """The inputs of a network from results days, at n origins.

    Attributes:
        offsets: `(n, HORIZON)`, int8: sessions from each step to the effect session of the nearest results day, below
            0 where that lies before the step, cut at ±`FARTHEST`; `FARTHEST` where nothing is known.
        knowledge: `(n, HORIZON)`, int8: the knowledge of that day, `NOTHING`, `PREDICTED` or `KNOWN`. A predicted day
            that lies behind the origin is overdue: no results have come.
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
        """The symbol's results days as known at a moment, for example the close of a forecast's cutoff.

        Raises:
            CalendarError: the symbol's exchange is not known.
        """
        at = np.array([cutoff_at.astimezone(UTC).replace(tzinfo=None)], "datetime64[us]")
        days = _sessions_around(self.symbol, at.astype("datetime64[D]"))
        origin = np.searchsorted(session_closes(self.symbol, days), at, side="right") - 1
        view = _View.of(days, _Rows.of([self]), origin[None], at[None])
        past = np.unique(view.dates[0][view.behind[0, 0]])
        return Known(tuple(past.tolist()), tuple(view.coming(days, origin)[0]))

    def inputs(self, cutoffs: Days, cutoffs_at: Days) -> ResultsInputs:
        """The inputs of a network at several origins, each of which sees only what was known by its cutoff.

        Args:
            cutoffs: `(n,)`, datetime64[D], the origins' sessions.
            cutoffs_at: `(n,)`, datetime64[us], UTC, the closes of these sessions.

        Raises:
            CalendarError: the symbol's exchange is not known.
        """
        if not len(self) or not len(cutoffs):
            return nothing_known(len(cutoffs))
        cutoffs = cutoffs.astype("datetime64[D]")
        days = _sessions_around(self.symbol, cutoffs)
        origin = np.searchsorted(days, cutoffs, side="right") - 1
        made = _View.of(days, _Rows.of([self]), origin[None], cutoffs_at[None]).inputs(days, origin[None])
        return ResultsInputs(*(values[0] for values in made))

    def reported(self) -> "ResultsDays":
        """The reports alone: without announcements, the next day can only be predicted."""
        rows = self.dates <= self.known_at.astype("datetime64[D]")
        return ResultsDays(self.symbol, self.dates[rows], self.sessions[rows], self.known_at[rows])

    def announced(self) -> "ResultsDays":
        """The reports, and four weeks before each an announcement of its day.

        Few sources keep when a past day was announced, so that the day that was reported stands for it.
        """
        reports = self.reported()
        return ResultsDays(
            self.symbol,
            np.concatenate([reports.dates, reports.dates]),
            np.concatenate([reports.sessions, reports.sessions]),
            np.concatenate([(reports.dates - _ANNOUNCED_BEFORE).astype("datetime64[us]"), reports.known_at]),
        )

    def known_by(self, end: date | np.datetime64) -> "ResultsDays":
        """The results days that were known at the end of a day, or at a moment, UTC."""
        if isinstance(end, np.datetime64):
            rows = self.known_at <= end
        else:
            rows = self.known_at < np.datetime64(end + timedelta(days=1), "us")
        return ResultsDays(self.symbol, self.dates[rows], self.sessions[rows], self.known_at[rows])

    @property
    def digest(self) -> str:
        """The SHA-256 of the days, in whatever order they came."""
        rows = sorted(zip(self.dates.astype(str), self.sessions.tolist(), self.known_at.astype(str), strict=True))
        return hashlib.sha256(repr((self.symbol, rows)).encode()).hexdigest()

    def came_within(self, sessions: Days, origins: NDArray[np.intp], horizon: int) -> Mask:
        """Whether results came within the horizon of each origin, as is known by now.

        An announcement counts where no report is near: not every source keeps those.

        Args:
            sessions: the sessions of the symbol's bars, in order.
            origins: `(n,)`, the origins' places among them.
            horizon: steps.
        """
        reported = self.known_at.astype("datetime64[D]") >= self.dates
        near = (np.abs(self.dates[:, None] - self.dates[reported]) < _QUARTER_APART).any(axis=1)
        came = reported | ~(near | _Rows.of([self]).superseding()[0].any(axis=0))
        dates, after = self.dates[came], self.sessions[came] == AFTER
        effect = np.where(after, np.searchsorted(sessions, dates, "right"), np.searchsorted(sessions, dates, "left"))
        apart = effect - np.asarray(origins)[:, None]
        return np.asarray(((apart > 0) & (apart <= horizon)).any(axis=1))


def latest_inputs(known: Sequence[ResultsDays | None], cutoffs: Days, cutoffs_at: Days) -> ResultsInputs:
    """The inputs of a network for several symbols, each at one origin; the same numbers as `ResultsDays.inputs` gives.

    Args:
        known: n of them; None where nothing is known of a symbol.
        cutoffs: `(n,)`, datetime64[D], the origins' sessions.
        cutoffs_at: `(n,)`, datetime64[us], UTC, the closes of these sessions.

    Raises:
        CalendarError: a symbol's exchange is not known.
    """
    found = nothing_known(len(known))
    for days, rows, places, origin in _by_exchange(known, cutoffs):
        view = _View.of(days, rows, origin[:, None], cutoffs_at[places][:, None])
        for into, values in zip(found, view.inputs(days, origin[:, None]), strict=True):
            into[places] = values[:, 0]
    return found


def expected(known: Sequence[ResultsDays | None], cutoffs: Days, cutoffs_at: Days) -> list[ResultsDay | None]:
    """The next results day inside the horizon of several symbols, each at one origin, or one that is overdue there.

    Args:
        known: n of them; None where nothing is known of a symbol.
        cutoffs: `(n,)`, datetime64[D], the origins' sessions.
        cutoffs_at: `(n,)`, datetime64[us], UTC, the closes of these sessions.

    Raises:
        CalendarError: a symbol's exchange is not known.
    """
    found: list[ResultsDay | None] = [None] * len(known)
    for days, rows, places, origin in _by_exchange(known, cutoffs):
        view = _View.of(days, rows, origin[:, None], cutoffs_at[places][:, None])
        near = (view.effect - origin[:, None] <= HORIZON)[:, None] & view.ahead
        for place, coming in zip(places, view._replace(ahead=near).coming(days, origin), strict=True):
            found[place] = next(iter(coming), None)
        for place, late in zip(places, view.overdue(days, origin), strict=True):
            found[place] = found[place] or late
    return found


def session_of(symbol: str, moment: datetime) -> tuple[date, str]:
    """The day of a moment at the symbol's exchange, and whether that was before its open, after its close, or unknown.

    >>> session_of("MSFT", datetime(2023, 7, 25, 20, 5, tzinfo=UTC))
    (datetime.date(2023, 7, 25), 'after')
    >>> session_of("MMM", datetime(2023, 7, 25, 10, 30, tzinfo=UTC))
    (datetime.date(2023, 7, 25), 'before')

    Raises:
        CalendarError: the symbol's exchange is not known.
    """
    local = moment.astimezone(ZoneInfo(time_zone(symbol)))
    day = local.date()
    [close] = session_closes(symbol, np.array([day], "datetime64[D]"))
    if not len(session_days(symbol, np.datetime64(day), np.datetime64(day))):
        return day, UNKNOWN
    if local.time() < _EARLIEST_OPEN:
        return day, BEFORE
    return day, AFTER if np.datetime64(moment.astimezone(UTC).replace(tzinfo=None)) >= close else UNKNOWN


def _sessions_around(symbol: str, cutoffs: Days) -> Days:
    back, ahead = _REACH_DAYS
    return session_days(symbol, cutoffs.min() - back, cutoffs.max() + ahead)


def _by_exchange(
    known: Sequence[ResultsDays | None], cutoffs: Days
) -> Iterator[tuple[Days, "_Rows", NDArray[np.intp], Ints]]:
    """The sessions, rows, places and origins of the symbols of each exchange, those without rows left out."""
    groups: dict[str, list[int]] = {}
    for place, days in enumerate(known):
        if days is not None and len(days):
            groups.setdefault(calendar_name(days.symbol), []).append(place)
    for group in groups.values():
        rows = [days for place in group if (days := known[place]) is not None]
        places = np.array(group, np.intp)
        of_these = cutoffs[places].astype("datetime64[D]")
        sessions = _sessions_around(rows[0].symbol, of_these)
        yield sessions, _Rows.of(rows), places, np.searchsorted(sessions, of_these, side="right") - 1


class _Rows(NamedTuple):
    """The rows of g symbols of one exchange, `(g, m)`; those of a symbol that has fewer are filled up with NaT."""

    dates: Days
    sessions: NDArray[np.str_]
    known_at: Days

    @classmethod
    def of(cls, known: Sequence[ResultsDays]) -> "_Rows":
        size = max(map(len, known))
        filled = cls(
            np.zeros((len(known), size), "datetime64[D]"),
            np.full((len(known), size), UNKNOWN, "U7"),
            np.full((len(known), size), np.datetime64("NaT"), "datetime64[us]"),
        )
        for number, days in enumerate(known):
            filled.dates[number, : len(days)] = days.dates
            filled.sessions[number, : len(days)] = days.sessions
            filled.known_at[number, : len(days)] = days.known_at
        return filled

    def superseding(self) -> Mask:
        """`(g, m, m)`: whether the first row replaces the second one, once it is known.

        Of rows of one date, that with the session counts, else the newest; an announcement yields to a later one of
        the same results, and to their report; of reports a few days apart the first counts.
        """
        groups, size = self.dates.shape
        order = np.lexsort([np.broadcast_to(np.arange(size), (groups, size)), self.known_at, self.sessions != UNKNOWN])
        rank = np.empty((groups, size), np.int64)
        np.put_along_axis(rank, order, np.broadcast_to(np.arange(size), (groups, size)), axis=1)
        apart = np.abs(self.dates[:, :, None] - self.dates[:, None])
        later = self.known_at[:, :, None] > self.known_at[:, None]
        announced = self.known_at.astype("datetime64[D]") < self.dates
        first_announced, second_announced = announced[:, :, None], announced[:, None]
        same_date = (apart == np.timedelta64(0)) & (rank[:, :, None] > rank[:, None])
        moved = first_announced & second_announced & later & (apart < _QUARTER_APART)
        reported = ~first_announced & second_announced & later & (apart < _SAME_REPORT)
        earlier = self.dates[:, :, None] < self.dates[:, None]
        first = ~first_announced & ~second_announced & (apart < _SAME_REPORT) & earlier
        found: Mask = same_date | ((apart > np.timedelta64(0)) & (moved | reported | first))
        return found


class _View(NamedTuple):
    """The results days seen from n origins of each of g symbols: as they were known, then those predicted from them.

    Attributes:
        dates: `(g, 2·m)`, the results days.
        sessions: `(g, 2·m)`, the part of the day: `before`, `after` or `unknown`.
        effect: `(g, 2·m)`, the place of the effect session among the exchange's; −1 where it is not known.
        is_predicted: `(2·m,)`, whether the day is predicted.
        behind: `(g, n, 2·m)`, whether an origin sees the day, and its effect session lies behind.
        ahead: `(g, n, 2·m)`, whether an origin sees the day, and it is to come or overdue.
    """

    dates: Days
    sessions: NDArray[np.str_]
    effect: Ints
    is_predicted: Mask
    behind: Mask
    ahead: Mask

    @classmethod
    def of(cls, days: Days, rows: _Rows, origin: Ints, at: Days) -> "_View":
        """The view from origins, `(g, n)` places among the sessions `days`, at the moments `at`, `(g, n)`."""
        next_year = _moved_to_session(days, rows.dates + _YEAR)
        effect, next_effect = (_effect(days, dates, rows.sessions) for dates in (rows.dates, next_year))
        apart = effect[:, None] - origin[:, :, None]
        visible = rows.known_at[:, None] <= at[:, :, None]
        visible &= ~_any(visible, rows.superseding())
        visible &= (effect >= 0)[:, None] & (apart > -_REACH[0]) & (apart < _REACH[1])
        ahead, behind = visible & (apart > 0), visible & (apart <= 0)
        # Results reported some weeks before a predicted day are those that it predicts.
        came = rows.dates[:, :, None] > next_year[:, None] - _QUARTER_APART
        coming = behind & (next_effect[:, None] > origin[:, :, None] - _OVERDUE) & ~ahead.any(axis=2, keepdims=True)
        coming &= ~_any(behind, came)
        return cls(
            np.concatenate([rows.dates, next_year], axis=1),
            np.concatenate([rows.sessions, rows.sessions], axis=1),
            np.concatenate([effect, next_effect], axis=1),
            np.repeat([False, True], effect.shape[1]),
            np.concatenate([behind, np.zeros_like(behind)], axis=2),
            np.concatenate([ahead, coming], axis=2),
        )

    def inputs(self, days: Days, origin: Ints) -> ResultsInputs:
        """The inputs of each origin, with two leading axes: symbols and origins."""
        seen, effect = self.behind | self.ahead, self.effect.astype(np.int32)
        steps = origin[:, :, None].astype(np.int32) + np.arange(1, HORIZON + 1, dtype=np.int32)
        apart = effect[:, None, None] - steps[..., None]
        nearest = np.where(seen[:, :, None], np.abs(apart), _NOWHERE).argmin(axis=3)
        near = np.take_along_axis(apart, nearest[..., None], axis=3)[..., 0]
        found = seen.any(axis=2, keepdims=True)
        newest = -np.sort(-np.where(self.behind, self.effect[:, None], -1), axis=2)[:, :, :LAST]
        last = np.full((*origin.shape, LAST), np.datetime64("NaT"), "datetime64[D]")
        last[..., : newest.shape[2]][newest >= 0] = days[newest[newest >= 0]]
        return ResultsInputs(
            np.where(found, np.minimum(np.maximum(near, -FARTHEST), FARTHEST), FARTHEST).astype(np.int8),
            np.where(found, np.where(self.is_predicted, PREDICTED, KNOWN)[nearest], NOTHING).astype(np.int8),
            last,
        )

    def coming(self, days: Days, origin: Ints) -> list[list[ResultsDay]]:
        """The days that each symbol's first origin sees ahead, by symbol, in order, each once."""
        found: list[list[ResultsDay]] = [[] for _ in origin]
        ahead = self.ahead[:, 0] & (self.effect > origin[:, None])
        for group, row in zip(*np.nonzero(ahead), strict=True):
            effect: date = days[self.effect[group, row]].item()
            day: date = self.dates[group, row].item()
            found[group].append(ResultsDay(day, str(self.sessions[group, row]), effect, bool(self.is_predicted[row])))
        return [sorted(set(each), key=lambda one: (one.effect or one.day, one.day)) for each in found]

    def overdue(self, days: Days, origin: Ints) -> list[ResultsDay | None]:
        """The newest predicted day that lies behind each symbol's first origin, and whose results have not come."""
        found: list[ResultsDay | None] = [None for _ in origin]
        late = self.ahead[:, 0] & (self.effect <= origin[:, None])
        for group, row in zip(*np.nonzero(late), strict=True):
            day, before = self.dates[group, row].item(), found[group]
            if before is None or before.day < day:
                found[group] = ResultsDay(day, str(self.sessions[group, row]), None, is_predicted=True)
        return found


def _moved_to_session(days: Days, dates: Days) -> Days:
    at = np.searchsorted(days, dates)
    return np.where(at < len(days), days[np.minimum(at, len(days) - 1)], dates) if len(days) else dates


def _effect(days: Days, dates: Days, sessions: NDArray[np.str_]) -> Ints:
    """The place of each day's effect session; −1 where the sessions around it are not among `days`."""
    if not len(days):
        return np.full(dates.shape, -1)
    after = np.searchsorted(days, dates, "right")
    effect = np.where(sessions == AFTER, after, np.searchsorted(days, dates, "left"))
    return np.where((effect < len(days)) & (dates >= days[0]), effect, -1)


def _any(seen: Mask, table: Mask) -> Mask:
    """`(g, n, m)`: whether any row that an origin sees says so of a day."""
    found: Mask = seen.astype(np.float32) @ table.astype(np.float32) > 0
    return found
