"""Use cases of trading on paper: universes, live signals and backtests of strategies."""

import importlib.util
import inspect
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tickercast import engines
from tickercast.app.ports import Ports, nothing
from tickercast.app.symbols import read_text
from tickercast.config import silence_telemetry
from tickercast.domain.bars import BAR_COLUMNS, Bars, Reading
from tickercast.domain.calendar import check_range, parse_day
from tickercast.domain.frequency import DAILY, Ends, Frequency, frequency_of
from tickercast.domain.hourly.direction_inputs import LEAST
from tickercast.domain.symbols import Symbols, parse_symbols
from tickercast.domain.text import shown
from tickercast.domain.trading.signals import Panel, panel, unbroken_from
from tickercast.domain.trading.strategy import (
    DIRECTION,
    FORECAST,
    PROPHET,
    Decision,
    Targets,
    Variant,
    parse,
    variant,
)
from tickercast.domain.trading.strategy_backtest import Backtest, Costs, backtest
from tickercast.domain.trading.universe import Choice, Members, Universe, parse_choice, read_members
from tickercast.errors import TickercastError, UsageError
from tickercast.jobs.daily.choose_universe import RANKED_BY, choose_universe, span
from tickercast.jobs.training.walk_signals import walk_signals
from tickercast.models import catalogue
from tickercast.reading.holdings import read_holdings
from tickercast.reading.signals import membership, stored_panel, stored_series
from tickercast.reading.trading import Venue, read_held, read_venues, read_waiting

if TYPE_CHECKING:
    from tickercast.models.direction import DirectionModel
    from tickercast.ports import Broker

log = logging.getLogger(__name__)

STORED = "stored"
"""The source whose bars are those of the warehouse."""

Named = Variant | str | Callable[..., Decision]
"""A strategy as a user names it: see `variant_of`."""


class Strategies(Ports):
    """Universes, signals and strategies."""

    def universe(
        self,
        file: str | Path,
        as_of: date | str | None = None,
        *,
        by: str = "return",
        over: int = 60,
        top: int = 20,
        keep: str | Path = "",
        source: str = "",
    ) -> Universe:
        """Choose a watchlist from members, and store it in `universes`; see `domain.trading.universe`.

        Args:
            file: a file with the lines `symbol[,from,to]`, which says who was a member when.
            as_of: the last date whose bars may be used; today by default.
            by: `return`, `volatility`, `volume` or `skill`.
            over: the number of sessions that are ranked over.
            top: the number of symbols that are taken.
            keep: a file with the lines `symbol,shares`; the held symbols stay, whatever their rank.
            source: the market data, or `stored`; the configured one by default.

        Raises:
            UsageError: a file or a word is not valid, or nobody can be ranked.
            Transient: an engine does not answer.
        """
        choice = Choice(str(file), by, over, top)
        day = self.now().date() if as_of is None else parse_day(as_of)
        return self._chosen(choice, day, self._held(keep), source)

    def universe_of_the_day(self, as_of: date | str, source: str = "") -> Universe:
        """Choose the universe of `TICKERCAST_UNIVERSE`, and store it; what is held or ordered on paper stays.

        Raises:
            UsageError: the setting or its file is not valid, or nobody can be ranked.
            Transient: an engine does not answer.
        """
        venues = [venue for venue in read_venues(self.warehouse) if venue.frequency == DAILY.name]
        held = sorted({symbol for each in venues for symbol in self._at_work(each)})
        return self._chosen(parse_choice(self.settings.universe), parse_day(as_of), held, source)

    def _at_work(self, venue: Venue) -> set[str]:
        """The symbols of which an account has an open order, or holds more than dust that no order can sell."""
        from tickercast.jobs.trading.trade import dust_at, exact

        waiting, rows = read_waiting(venue.account, self.warehouse), read_held(venue.account, self.warehouse)
        held = {str(symbol): exact(each) for symbol, each in rows.groupby("symbol")["quantity"].sum().items()}
        try:
            is_dust = dust_at(self._broker_of(venue), held)
        except TickercastError as error:
            log.warning("Whether %s holds dust alone is not known, and all of it is fetched: %s", venue.account, error)
            return waiting | held.keys()
        return waiting | {symbol for symbol, quantity in held.items() if not is_dust(symbol, quantity)}

    def _broker_of(self, venue: Venue) -> "Broker":
        name = venue.account.partition("://")[2]
        bench = engines.Bench(self.warehouse, self.now(), frequency_of(venue.frequency), name)
        return engines.broker(venue.broker, self.settings, bench)

    def _chosen(self, choice: Choice, day: date, held: Sequence[str], source: str) -> Universe:
        members, by, over = self.members(choice.file), choice.by, choice.over
        symbols = list(dict.fromkeys([*members.on(day), *held]))
        if not symbols:
            raise UsageError(
                f"{choice.file} has no member on {day}: at least one was needed. Name another date with --as-of."
            )
        reading = Reading() if by == "skill" else self._bars(symbols, day - span(over), day, source, DAILY, RANKED_BY)
        return choose_universe(
            members,
            day,
            reading=reading,
            by=by,
            over=over,
            top=choice.top,
            held=held,
            warehouse=self.warehouse,
            now=self.now(),
        )

    def _held(self, file: str | Path) -> list[str]:
        """The symbols of a file of holdings; none without a file."""
        if not str(file):
            return []
        held = read_holdings(read_text(str(file), "holdings", self.settings), Path(file).name)
        return [one.symbol for one in held.holdings]

    def members(self, file: str | Path) -> Members:
        """Read a file of members; see `domain.trading.universe.read_members`."""
        return read_members(read_text(str(file), "members", self.settings), Path(file).name)

    def strategy_targets(
        self,
        variants: Named | Sequence[Named],
        symbols: Symbols = (),
        as_of: date | str | None = None,
        *,
        frequency: Frequency | str = DAILY,
        members: Members | None = None,
        held: Mapping[str, float] | None = None,
        until: datetime | None = None,
    ) -> Targets:
        """The wanted weights of variants after the newest stored bar; see `domain.trading.strategy`.

        A symbol whose own bar is still open by then, as a coin's while the stocks beside it have closed, is decided on
        its newest one.

        Args:
            variants: the strategies, each by its name, as a function or as a `Variant`; see `variant_of`.
            symbols: the series; all that have signals by default.
            as_of: the last date wanted; today by default.
            frequency: the frequency of the bars.
            members: the members of the universe; all of the symbols by default.
            held: the weights that are held, by symbol; whatever is held beside the symbols is no member. Nothing by
                default.
            until: the time, UTC; bars that closed later are not looked at.

        Raises:
            UsageError: nothing is stored, or a strategy decides what cannot be.
            WarehouseUnavailable: try again.
        """
        frequency = frequency_of(frequency)
        chosen = variants_named(variants)
        last = self.now().date() if as_of is None else parse_day(as_of)
        weights, symbols = held or {}, parse_symbols(symbols)
        named = list(dict.fromkeys([*symbols, *weights])) if symbols else []
        first = last - frequency.longest_forecast  # older forecasts have ended
        made = stored_panel(named, first, last, frequency, warehouse=self.readable, members=members, until=until)
        made = made.rows(unbroken_from(made.ends, len(made)), len(made))
        if symbols:
            made = replace(made, member=made.member & np.isin(made.symbols, list(symbols)))
        held_now = np.array([weights.get(symbol, 0.0) for symbol in made.symbols])
        known = made.known_at(until or self.now(), held_now)
        wanted, ended = [], made.ended
        for one in chosen:
            found = one(known)
            reasons = [ended.get(symbol) or found.reason(n) for n, symbol in enumerate(made.symbols)]
            wanted.append((one, list(zip(found.weights.tolist(), reasons, strict=True))))
        expected = [symbol for symbol in symbols if members is None or symbol in members.on(last)]
        doubts = {symbol: doubt for symbol, doubt in zip(made.symbols, known.doubts, strict=True) if doubt}
        return Targets(made, wanted, _missing(expected, made, first, last), doubts)

    def strategy_backtest(
        self,
        variants: Named | Sequence[Named],
        first: date | str,
        last: date | str,
        *,
        symbols: Symbols = (),
        members: Members | None = None,
        source: str = "",
        frequency: Frequency | str = DAILY,
        step: int = 1,
        costs: Costs | None = None,
        tried: int = 0,
        on_progress: Callable[[int, int], None] = nothing,
    ) -> Backtest:
        """Backtest variants side by side, from stored forecasts or walked forward.

        See `domain.trading.strategy_backtest`.

        Args:
            variants: the strategies, each by its name, as a function or as a `Variant`; see `variant_of`.
            first: the first date of a decision.
            last: the last date of a decision.
            symbols: the series; by default all members, all that have signals, or all that the source holds.
            members: the members of the universe over time; all of the symbols, always, by default.
            source: the market data to walk forward through; empty: stored forecasts are read.
            frequency: the frequency of the bars.
            step: the number of bars from one decision to the next.
            costs: the costs of trading.
            tried: the number of variants that were tried in all, if they are more than these.
            on_progress: called with the signals made and their total.

        Raises:
            UsageError: an argument is not valid, no bars or signals are stored then, or a strategy decides what cannot
                be.
            Transient: an engine does not answer.
        """
        frequency, chosen = frequency_of(frequency), variants_named(variants)
        first, last = parse_day(first), parse_day(last)
        if not chosen:
            raise UsageError(_NONE_NAMED)
        check_range(first, last)
        for name, count, least in (("step", step, 1), ("tried", tried, 0)):
            if count < least:
                raise UsageError(f"{name} is {count}: a whole number, {least} or more, was needed. Give that.")
        named = parse_symbols(symbols) or (members.symbols if members else [])
        if source:
            made, reading = self._walked(chosen, named, first, last, source, frequency, step, members, on_progress)
        else:
            through = self.models_of(frequency).trained_through
            made = stored_panel(
                named, first, last, frequency, warehouse=self.readable, members=members, trained_through=through
            )
            days = np.arange(np.datetime64(first, "D"), np.datetime64(last, "D") + 1)
            expected = [symbol for symbol in named if members is None or members.when(symbol, days).any()]
            missing = _missing(expected, made, first, last)
            reading = Reading(failures={symbol: UsageError(f"{why.capitalize()}.") for symbol, why in missing.items()})
        begin = unbroken_from(made.ends, _row_of(first, made.ends, frequency))
        made = made.rows(begin, len(made))
        start = _row_of(first, made.ends, frequency)
        if len(made) - start < 2:
            raise UsageError(
                f"There are {len(made) - start} bars from {first} to {last}, and at least two were needed: one to "
                "decide on, and one to trade in. Name other dates."
            )
        return backtest(
            made,
            chosen,
            costs or Costs(),
            start=start,
            every=step,
            tried=tried,
            point_in_time=bool(members and members.point_in_time),
            failures=reading.failures,
            findings=reading.findings,
        )

    def strategy_tearsheet(self, found: Backtest) -> str:
        """Draw the account of the first variant after costs as a page by quantstats, beside the second, if any.

        Raises:
            UsageError: quantstats is not installed, or the variant never traded.
            EngineUnusable: quantstats cannot draw these returns.
        """
        from tickercast.show.sentences import NOT_ADVICE
        from tickercast.show.strategies import notes, title, verdict

        first, *others = found.results
        return self.tearsheets.page(
            first,
            others[0] if others else None,
            title=f"{first.variant.name}, after costs",
            said=[verdict(found, first), title(found), *notes(found), NOT_ADVICE],
        )

    def _walked(
        self,
        variants: Sequence[Variant],
        symbols: Sequence[str],
        first: date,
        last: date,
        source: str,
        frequency: Frequency,
        step: int,
        members: Members | None,
        on_progress: Callable[[int, int], None],
    ) -> tuple[Panel, Reading]:
        reads = {each for one in variants for each in one.reads}
        if frequency.is_daily and any(one.reads == (DIRECTION,) for one in variants):
            raise UsageError("Directions are of hours: direction was named with daily bars. Add --every 1h.")
        if not frequency.is_daily and PROPHET in reads:
            raise UsageError("Prophet forecasts days here: prophet-trend was named with hours. Leave --every out.")
        reading = self._bars(symbols, first - _HISTORY[frequency.is_daily], last, source, frequency)
        series = list(reading.bars.values())
        if not series:
            raise next(iter(reading.failures.values()), UsageError(f"{source} holds no symbol. Name another source."))
        ends = np.unique(np.concatenate([bars.ends for bars in series]))
        start = _row_of(first, ends, frequency)
        unbroken_from(ends, start)  # a gap is refused before the models are walked, which takes long
        origins = ends[start:][::step]
        walk = self._walk(reads, series, frequency)
        total, done = len(origins) * len(series) * max(len(reads & {FORECAST, PROPHET}), 1), 0

        def report(count: int) -> None:
            nonlocal done
            done += count
            on_progress(done, total)

        signals = [walk(bars, origins, on_progress=report) for bars in series] if reads else []
        return panel(series, signals, membership(series, members)), reading

    def _walk(self, reads: set[str], series: Sequence[Bars], frequency: Frequency) -> Callable[..., Any]:
        """A walk that makes signals from bars, with the models that strategies read."""
        model = trend = None
        seen = []
        given: dict[str, Any] = {}
        if FORECAST in reads:
            hourly = not frequency.is_daily
            model = catalogue.hourly(catalogue.CHAMPION, self.hourly_store, series) if hourly else self.load_model()
            seen.append(catalogue.trained_through(model))
        if PROPHET in reads:
            trend = catalogue.statistical("prophet")
        if DIRECTION in reads and not frequency.is_daily:
            trees = self._trees()
            seen.append(trees.trained_through)
            given = {"chance": trees.predict_at, "least": LEAST}
        through = max((day for day in seen if day), default=None)
        return partial(walk_signals, model=model, trend=trend, seen_through=through, **given)

    def _trees(self) -> "DirectionModel":
        silence_telemetry()  # onnxruntime reads it when it is imported
        from tickercast.models.direction import DirectionModel

        store = self.direction_store
        return DirectionModel(store.champion() if store.generation() else store.shipped)

    def _bars(
        self,
        symbols: Sequence[str],
        first: date,
        last: date,
        source: str,
        frequency: Frequency,
        columns: Sequence[str] = BAR_COLUMNS,
    ) -> Reading:
        """Bars of a source, or those that are stored, with the columns that are needed."""
        if source == STORED:
            bars = {
                one.symbol: one
                for one in stored_series(
                    symbols or None, first, last, frequency, warehouse=self.readable, columns=columns
                )
            }
            if not bars and not symbols:
                raise UsageError(
                    f"No bar is stored from {first} to {last}, and some were needed. Name other dates, or a source."
                )
            none = "No bar of {} is stored from {} to {}, and some were needed. Correct the name, or forecast it."
            return Reading(
                bars, {symbol: UsageError(none.format(symbol, first, last)) for symbol in symbols if symbol not in bars}
            )
        data = self.source_of(source, frequency)
        return data.fetch(symbols or list(data.symbols()), first, last, advance=nothing)


def _row_of(first: date, ends: Ends, frequency: Frequency) -> int:
    """The row of the first bar from a date on."""
    return int(np.searchsorted(frequency.dates(ends), np.datetime64(first, "D")))


def _missing(symbols: Sequence[str], made: Panel, first: date, last: date) -> dict[str, str]:
    """The reason for each symbol that was named and is not in a panel."""
    why = f"no signal is stored from {first} to {last}"
    return {symbol: why for symbol in symbols if symbol not in made.symbols}


_HISTORY = {True: timedelta(days=3 * 365), False: timedelta(days=400)}  # before the first decision, for models


def variants_of(words: Sequence[str], files: Sequence[str] = ()) -> list[Variant]:
    """The variants that a user names: of built-in strategies, and of functions in files.

    Args:
        words: `NAME` or `NAME:parameter=value,…`.
        files: `FILE.py:FUNCTION` or `FILE.py:FUNCTION:parameter=value,…`.

    Raises:
        UsageError: one of them is none, or there is none.
    """
    made = [*map(parse, words), *map(_own, files)]
    if not made:
        raise UsageError(_NONE_NAMED)
    return list({one.hash: one for one in made}.values())


_NONE_NAMED = "No strategy was named, and at least one was needed, such as volatility-target."


def variants_named(named: Named | Sequence[Named]) -> list[Variant]:
    """The variants that a program names, each once.

    Raises:
        UsageError: one of them is none, or two functions cannot be told apart.
    """
    found: dict[str, Variant] = {}
    for each in [named] if isinstance(named, str) or not isinstance(named, Sequence) else named:
        one = variant_of(each)
        if found.setdefault(one.hash, one).decide != one.decide and not isinstance(each, str):
            raise UsageError(
                f"Two functions have the name {one.name} and the same text: one that differs was needed. Make what "
                "differs a parameter, and set it with functools.partial."
            )
    return list(found.values())


def variant_of(named: Named) -> Variant:
    """The variant that a program names.

    >>> variant_of("volatility-target:target=0.1").parameters
    {'target': 0.1, 'most': 1.0}
    >>> def half(known, *, share=0.5):
    ...     return Decision(np.full(len(known.symbols), share * known.share), lambda n: "half")
    >>> variant_of(half).name, variant_of(partial(half, share=0.4)).name
    ('own.half', 'own.half:share=0.4')

    Args:
        named: a built-in strategy as `NAME` or `NAME:parameter=value,…`; a function in a file as `FILE.py:FUNCTION` or
            `FILE.py:FUNCTION:parameter=value,…`; a function, whose parameters `functools.partial` sets; or a variant.

    Raises:
        UsageError: it is none.
    """
    if isinstance(named, Variant):
        return named
    if isinstance(named, str):
        return _own(named, "The strategy") if ".py:" in named else parse(named)
    decide, given = named, dict[str, Any]()
    if isinstance(named, partial) and not named.args:
        decide, given = named.func, named.keywords
    place, text = _written(decide)
    name = getattr(decide, "__name__", type(decide).__name__).strip("<>")
    words = ",".join(f"{key}={value}" for key, value in given.items())
    return variant(f"{place}.{name}", decide, words, source=text)


def _written(decide: Callable[..., Decision]) -> tuple[str, str]:
    """The place of a function, and the text that decides: that of its file, else its own; empty if not known."""
    code = getattr(inspect.unwrap(decide), "__code__", None)
    file = Path(code.co_filename) if code else Path()
    if file.is_file():
        return file.stem, read_text(str(file), "Python")
    try:
        return "own", inspect.getsource(decide)
    except (OSError, TypeError):  # a function without a text, or an object that is called
        return "own", ""


def _own(text: str, what: str = "--from-file") -> Variant:
    path, _, rest = text.partition(".py:")
    name, _, words = rest.partition(":")
    if not name.isidentifier():
        raise UsageError(
            f"{what} is {shown(text, 60)!r}: FILE.py:FUNCTION was needed, such as my.py:decide, and perhaps "
            ":parameter=value behind it."
        )
    file = Path(f"{path}.py")
    source = read_text(str(file), "Python")
    spec = importlib.util.spec_from_file_location(f"strategy_{file.stem}", file)
    assert spec is not None, "it ends in .py"
    assert spec.loader is not None, "it is read from a file"
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # whatever the file raises
        raise UsageError(
            f"{file} cannot be run: {type(error).__name__}: {shown(str(error), 200)}. Correct it."
        ) from error
    decide = getattr(module, name, None)
    if not callable(decide):
        raise UsageError(f"{file} has no function {name}: def {name}(known) was needed. Correct the name.")
    return variant(f"{file.stem}.{name}", decide, words, source=source)
