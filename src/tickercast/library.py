"""The library: what `import tickercast` offers a notebook or another program."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from numbers import Integral
from pathlib import Path
from typing import Any, overload

import numpy as np
import pandas as pd

from tickercast import config
from tickercast.app import App
from tickercast.domain.bar_checks import check_bars
from tickercast.domain.bars import Bars, Reading
from tickercast.domain.calendar import check_every, check_range, parse_day
from tickercast.domain.cards.model_card import class_findings
from tickercast.domain.events import ResultsDays
from tickercast.domain.files import event_files
from tickercast.domain.files.price_files import Window, first_symbol, name_without_ending, of_others, read_prices
from tickercast.domain.findings import NOTHING_FOUND, Finding, Findings, sentence
from tickercast.domain.forecast import Forecast, Prediction, Predictor, checked, informed
from tickercast.domain.frequency import DAILY, Frequency, frequency_of
from tickercast.domain.hourly.hours import oddities
from tickercast.domain.learning import features
from tickercast.domain.measures.evaluation import (
    by_group,
    evaluation_report,
    labelled,
    loss_ratio,
    rolling_losses,
    summary,
    why_no_origin,
)
from tickercast.domain.quality import findings_of
from tickercast.domain.spelling import in_yahoos_spelling
from tickercast.domain.symbols import parse_symbol
from tickercast.domain.trading.signals import Known
from tickercast.domain.trading.strategy import Decision
from tickercast.domain.trading.strategy_backtest import Costs
from tickercast.errors import NoRecentBars, UsageError
from tickercast.models.catalogue import evaluation_baselines, hourly_baselines
from tickercast.reading.events import expected_days, of_rows

__all__ = [
    "App",
    "Bars",
    "Costs",
    "Decision",
    "Evaluation",
    "Forecast",
    "Known",
    "Model",
    "ResultsDays",
    "evaluate",
    "load_model",
    "open",
    "read_csv",
    "read_events",
    "read_frame",
]


Results = Mapping[str, ResultsDays]
"""Results days by symbol."""


def open(**settings: Any) -> App:  # noqa: A001  # as gzip.open and others
    """Open the application over the configured engines.

    Args:
        settings: see `config.Settings`, for example `bucket`, `warehouse` or `source`; each that is not given comes
            from the environment, or is the default of a laptop.

    Raises:
        UsageError: a setting is unknown, of another type, or names a model that is not served. Whether an engine or a
            source is where a setting says is seen when it is first used.
    """
    known = set(config.Settings.model_fields)
    unknown = sorted(set(settings) - known)
    if unknown:
        raise UsageError(f"{unknown[0]!r} is not a setting: one of {', '.join(sorted(known))} was needed.")
    return App(config.changed(config.load(), settings))


def read_csv(path: str | Path, *, symbol: str | None = None, frequency: Frequency | str = DAILY) -> Reading:
    r"""Read a file of daily or hourly bars, which may hold many symbols: a CSV, also in gzip or zip, or Parquet.

    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "MSFT.csv"
    >>> _ = file.write_text("Date,Open,High,Low,Close\n2023-07-20,10,12,9,11\n2023-07-21,11,13,10,12\n")
    >>> bars = read_csv(file)["MSFT"]
    >>> str(bars.cutoff), bars.last_close
    ('2023-07-21', 12.0)

    Args:
        path: the file; its columns are Date, Open, High, Low, Close and, if there are any, Adj Close, Volume, Symbol,
            in any of the spellings that docs/price-files.md lists.
        symbol: the symbol of a file without a column Symbol, spelt as in one; by default the name of the file.
        frequency: the frequency of the bars: `1d`, or `1h`, whose columns docs/hourly.md lists.

    Returns:
        A mapping of symbols to `Bars`; the reason for each symbol that could not be read is in `failures`, and is
        raised where `reading[symbol]` asks for it. What was left out or changed is in `findings`; what is odd about the
        newest bars, each forecast of them says.

    Raises:
        UsageError: the file cannot be read, or `symbol` is none, or the file holds others than it.
        InvalidBars: nothing in it can be used, or it names another symbol than `symbol` or its name, or none.
    """
    content, name = _content(path)
    if not symbol:
        return _read(content, name_without_ending(name), frequency)
    return _read_one(content, _spelt(symbol), frequency)


def read_frame(frame: pd.DataFrame, *, symbol: str | None = None, frequency: Frequency | str = DAILY) -> Reading:
    """Read a pandas table of daily or hourly bars, as `read_csv` would read it from a file.

    >>> import pandas as pd
    >>> table = pd.DataFrame(
    ...     {"Open": [10, 11], "High": [12, 13], "Low": [9, 10], "Close": [11, 12]},
    ...     index=pd.DatetimeIndex(["2023-07-20", "2023-07-21"], name="Date"),
    ... )
    >>> read_frame(table, symbol="MSFT")["MSFT"].last_close
    12.0

    Args:
        frame: one row a bar, with the columns of such a file, also as yfinance returns them for one or more symbols;
            the dates are a column or the index.
        symbol: the symbol of a table that names none, spelt as in a column.
        frequency: the frequency of the bars: `1d`, or `1h`.

    Returns:
        The reading, as `read_csv` returns it.

    Raises:
        UsageError: the argument is no table, or `symbol` is none, or no symbol is named, or the table holds others than
            it.
        InvalidBars: no row of the table can be used, or it names another symbol than `symbol`.
    """
    if not isinstance(frame, pd.DataFrame):
        raise UsageError(f"A {type(frame).__name__} was given: a pandas DataFrame was needed. Make one of it.")
    is_counted = frame.index.names == [None] and pd.api.types.is_integer_dtype(frame.index.dtype)
    is_counted = is_counted and bool((frame.index.to_numpy() < _LEAST_DATE).all())
    content = frame.to_csv(index=not is_counted).encode(errors="backslashreplace")  # a lone surrogate is no text
    if symbol:
        return _read_one(content, _spelt(symbol), frequency)
    if not first_symbol(content):
        raise UsageError("The table names no symbol: a column Symbol, or symbol='MSFT', was needed. Give one of them.")
    return _read(content, "", frequency)


_LEAST_DATE = 10_000_000  # a number from here on stands for a date, as 20230721 or in seconds


def _content(path: str | Path) -> tuple[bytes, str]:
    """The content of a file, and its name."""
    if not isinstance(path, str | Path):
        raise UsageError(f"A {type(path).__name__} was given: the path of a file was needed. Name one.")
    file = Path(path)
    try:
        return file.read_bytes(), file.name
    except (OSError, ValueError) as error:
        raise UsageError(f"{file} cannot be read: {getattr(error, 'strerror', error)}. Name another file.") from error


def _spelt(symbol: str) -> str:
    if not isinstance(symbol, str):
        raise UsageError(f"The symbol is {str(symbol)[:40]}: a text was needed, such as 'MSFT'. Give one.")
    return parse_symbol(in_yahoos_spelling(symbol.strip().upper()))


def _read_one(content: bytes, symbol: str, frequency: Frequency | str) -> Reading:
    """Read the content of a file that has to be of one symbol alone."""
    reading = _read(content, symbol, frequency)
    held = [*reading, *reading.failures]
    if held != [symbol]:
        raise of_others(held, symbol)
    return reading


def _read(content: bytes, symbol: str, frequency: Frequency | str) -> Reading:
    window = Window(now=datetime.now(UTC))
    return read_prices(content, symbol=symbol, window=window, frequency=frequency_of(frequency))


def read_events(path: str | Path) -> dict[str, ResultsDays]:
    r"""Read a CSV file of results days, by symbol.

    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "MSFT.csv"
    >>> _ = file.write_text("date,session,known_at\n2023-07-25,after,2023-07-06\n")
    >>> read_events(file)["MSFT"].dates.tolist()
    [datetime.date(2023, 7, 25)]

    Args:
        path: the file; its columns are date, symbol (or the file is named after it), session (`before`, `after` or
            `unknown`) and known_at (UTC); see docs/events.md.

    Raises:
        UsageError: the file cannot be read.
        InvalidBars: a line of it cannot be understood.
    """
    content, name = _content(path)
    return of_rows(event_files.read_events(content, name, datetime.now(UTC)))


@dataclass(frozen=True)
class Model:
    """A model that is ready to predict: one that `load_model` gives, or one of your own.

    Attributes:
        predictor: the model behind it; see `domain.forecast.Predictor` for its arrays.
        frequency: the frequency of the bars that the model forecasts; None where it forecasts any.

    Raises:
        UsageError: an attribute of the predictor is missing, or not what is needed.
    """

    predictor: Predictor
    frequency: Frequency | None = None

    def __post_init__(self) -> None:
        _check_predictor(self.predictor)
        if self.frequency is not None and not isinstance(self.frequency, Frequency):
            raise UsageError(
                f"The frequency of {self.name} is {str(self.frequency)[:20]!r}: a Frequency, as Bars have one, or None "
                "was needed. Give one of these."
            )

    def __repr__(self) -> str:
        """The model by its name: tables of a thousand numbers may be behind it."""
        frequency = f", frequency={str(self.frequency)!r}" if self.frequency else ""
        return f"Model({self.name!r}, version={self.version!r}{frequency})"

    @property
    def name(self) -> str:
        """The registered model's name."""
        return self.predictor.name

    @property
    def version(self) -> str:
        """The registered version."""
        return self.predictor.version

    @overload
    def predict(self, bars: Bars, results: Results | None = None) -> Forecast: ...

    @overload
    def predict(self, bars: Reading | Iterable[Bars], results: Results | None = None) -> list[Forecast]: ...

    def predict(
        self, bars: Bars | Reading | Iterable[Bars], results: Results | None = None
    ) -> Forecast | list[Forecast]:
        """Forecast the sessions that follow the last bar.

        Args:
            bars: the bars of one symbol, or of several.
            results: results days by symbol, as `read_events` gives them; a forecast uses those that were known by its
                last bar.

        Returns:
            One forecast a symbol; a single one for the bars of one symbol. Each says what is odd about its newest bars,
            and of a `Reading` also what was left out or changed when it was read.

        Raises:
            UsageError: these are no bars or results days, or not those of one frequency, the model's; or no forecast
                can be made of what the model gave.
            InvalidBars: bars made of columns of your own are not what a file may hold; see `domain.bar_checks`.
            TooFewSessions: a series is shorter than the model needs.
            CalendarError: the sessions of a symbol's exchange are not known.
        """
        days = _results(results)
        series, predictor = _series(bars, self.frequency), informed(self.predictor, days)
        features.check_length(series, max(predictor.min_sessions, 1))
        if not series:
            return []
        quantiles = checked(predictor, predictor.predict(series), len(series))
        found = _findings(series, predictor, bars.findings if isinstance(bars, Reading) else NOTHING_FOUND)
        made = [
            Prediction(
                one.symbol,
                one.end,
                one.last_close,
                one.frequency.next_steps(one.symbol, one.end, self.predictor.horizon),
                log_returns,
                self.name,
                self.version,
                simulated=one.simulated,
                doubtful=any(each.touches_width for each in odd),
                frequency=one.frequency,
            ).forecast()
            for one, log_returns, odd in zip(series, quantiles, found, strict=True)
        ]
        made = [replace(one, findings=sentence(odd)) for one, odd in zip(made, found, strict=True)]
        if days:
            made = [replace(one, results=day) for one, day in zip(made, expected_days(series, days), strict=True)]
        return made[0] if isinstance(bars, Bars) else made


def _findings(series: Sequence[Bars], model: Predictor, when_read: Findings) -> list[list[Finding]]:
    """The oddities of each series' bars, as an event finds them for a forecast from the last bar."""
    odd: dict[int, list[Finding]] = {}
    if series[0].frequency.is_daily:
        now = datetime.now(UTC)
        for cutoff, rows in _by_cutoff(series).items():
            odd |= dict(zip(rows, findings_of([series[row] for row in rows], cutoff, now=now), strict=True))
    else:
        odd |= {row: oddities(one, one.ends[-1].item()) for row, one in enumerate(series)}
    return [
        [*when_read.get(one.symbol, ()), *odd[row], *class_findings(model, one.symbol)]
        for row, one in enumerate(series)
    ]


def _by_cutoff(series: Sequence[Bars]) -> Mapping[date, list[int]]:
    rows: dict[date, list[int]] = {}
    for row, one in enumerate(series):
        rows.setdefault(one.cutoff, []).append(row)
    return rows


def _check_predictor(model: Any) -> None:
    """Refuse what is no `Predictor`."""
    kind = type(model).__name__
    if isinstance(model, type):
        raise UsageError(f"The class {model.__name__} was given: an object of it was needed. Write {model.__name__}().")
    for name, (needed, is_met) in _NEEDED.items():
        if not hasattr(model, name):
            raise UsageError(
                f"A {kind} was given, which has no {name}: a model was needed, by its name, as load_model gives it, or "
                f"an object with all of {', '.join(_NEEDED)}. Give one of these."
            )
        if not is_met(getattr(model, name)):
            raise UsageError(f"The {name} of the {kind} is not {needed}, and that was needed. Correct it.")


_NEEDED: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "name": ("a text", lambda value: isinstance(value, str) and bool(value)),
    "version": ("a text", lambda value: isinstance(value, str)),
    "horizon": ("a whole number, 1 or more", lambda value: isinstance(value, Integral) and int(value) >= 1),
    "min_sessions": ("a whole number, 0 or more", lambda value: isinstance(value, Integral) and int(value) >= 0),
    "predict": ("a method", callable),
}
"""The needed attributes of a model: a description of each, and its check."""


def load_model(name: str | Path = "champion", *, frequency: Frequency | str = DAILY) -> Model:
    """Load a model by its name.

    >>> load_model("ewma-t").name, load_model().name, load_model(frequency="1h").name
    ('ewma-t', 'tickercast-lstm', 'har-season')

    Args:
        name: `champion` is the published one, or the one that comes with the package if none has been published;
            otherwise a model that is published beside it, a baseline, a statistical model, or the folder of a bundle;
            see `models.catalogue`.
        frequency: the frequency of the bars that it forecasts: `1d` or `1h`.

    Raises:
        UsageError: no model has that name, or its package is not installed.
        BundleError: the bundle is damaged.
    """
    if not isinstance(name, str | Path):
        raise UsageError(
            f"A {type(name).__name__} was given: the name of a model was needed. Name one, or leave it out."
        )
    frequency = frequency_of(frequency)
    return Model(App().load_model(str(name), frequency), frequency)


@dataclass(frozen=True)
class Evaluation:
    """The evaluation of a model beside the baselines.

    Attributes:
        losses: the losses of each model, the judged one first; see `domain.measures.evaluation.losses`.
        frequency: the frequency of the bars.
    """

    losses: Mapping[str, pd.DataFrame]
    frequency: Frequency = DAILY

    def frame(self) -> pd.DataFrame:
        """One row a model: origins `n`, scaled pinball loss `sp`, coverage, and errors relative to the last close."""
        return pd.DataFrame({name: summary(table) for name, table in self.losses.items()}).T

    def ratios(self) -> pd.DataFrame:
        """One row a baseline: the ratio of the model's loss to it (below 1 is better), with its 95% interval.

        The ends `lo` and `hi` are 0 and ∞ where the time is too short for one.
        """
        (_, own), *others = self.losses.items()
        rows = {name: loss_ratio(own, table, "sp", frequency=self.frequency) for name, table in others}
        return pd.DataFrame(rows, index=["ratio", "lo", "hi"]).T

    def by_step(self) -> pd.DataFrame:
        """One row a step: the same measures as `frame`, of the judged model."""
        (_, own), *_ = self.losses.items()
        return pd.DataFrame(by_group(own, "step")).T

    def report(self) -> dict[str, Any]:
        """The report as plain values; see `domain.measures.evaluation.evaluation_report`."""
        return evaluation_report(self.losses, self.frequency)


def evaluate(
    model: Model | Predictor | str | Path,
    bars: Bars | Reading | Iterable[Bars],
    first: date | np.datetime64 | str,
    last: date | np.datetime64 | str,
    *,
    every: int | None = None,
    results: Results | None = None,
) -> Evaluation:
    """Evaluate a model on past sessions or hours, beside the baselines.

    The widths of the LSTM follow at each origin what had come true by then, as under a daily run; those of its
    `predict`, and of a `Predictor` of your own, do not. A baseline of the model's own name and version is left out; one
    of another version has it beside its name.

    Args:
        model: a model, its name, or a `Predictor` of your own: an object with `name`, `version`, `horizon`,
            `min_sessions` and `predict`.
        bars: the bars of one or more symbols, from well before `first` to a horizon after `last`.
        first: the first date to forecast from.
        last: the last date to forecast from.
        every: sessions or hours from one origin to the next; a horizon by default, so that horizons do not overlap.
        results: results days by symbol, as `read_events` gives them; each origin sees those that were known by then.

    Raises:
        UsageError: a date, the model, its bars, the results days or `every` is not valid, or no forecast can be made of
            what the model gave.
        InvalidBars: bars made of columns of your own are not what a file may hold; see `domain.bar_checks`.
        NoRecentBars: no session in that range has enough bars before and after it.
    """
    begin, end = parse_day(first, "first"), parse_day(last, "last")
    check_range(begin, end)
    if every is not None:
        check_every(every)
    days, given = _results(results), model if isinstance(model, str | Path | Model) else Model(model)
    series = _series(bars, given.frequency if isinstance(given, Model) else None)
    _check_different(series)
    frequency = series[0].frequency
    judged = given if isinstance(given, Model) else load_model(given, frequency=frequency)
    if judged.predictor.horizon != frequency.horizon:
        raise UsageError(
            f"{judged.name} forecasts {judged.predictor.horizon} steps, and the baselines of {frequency} bars "
            f"{frequency.horizon}: the same was needed to compare them. Give it a horizon of {frequency.horizon}."
        )
    baselines = evaluation_baselines(series, begin - timedelta(days=1)) if frequency.is_daily else hourly_baselines()
    models = labelled([judged.predictor, *baselines])
    step = every or frequency.horizon
    tables = rolling_losses(models, series, begin, end, every=step, results=days)
    if any(table.empty for table in tables.values()):
        needed = max(one.min_sessions for one in models.values())
        why = why_no_origin(series[0], begin, end, every=step, needed=needed, horizon=frequency.horizon)
        raise NoRecentBars(
            f"No origin of the {len(series)} symbol(s) lies from {begin} to {end}: {why}. Name other dates, or give "
            "more bars."
        )
    return Evaluation(tables, frequency)


def _check_different(series: Sequence[Bars]) -> None:
    """Refuse series that are none, or of which two are of one symbol: they would count as more evidence."""
    if not series:
        raise UsageError("No bars were given: those of at least one symbol were needed. Read them by read_csv.")
    [(symbol, count), *_] = Counter(one.symbol for one in series).most_common()
    if count > 1:
        raise UsageError(
            f"The bars of {symbol} were given {count} times: each symbol once was needed. Drop the others."
        )


def _results(results: Results | None) -> Results:
    """The results days that were given; none for None."""
    if results is None:
        return {}
    values = list(results.values()) if isinstance(results, Mapping) else [results]
    for value in values:
        if not isinstance(value, ResultsDays):
            raise UsageError(
                f"The results hold a {type(value).__name__}: ResultsDays by symbol were needed, as "
                "tickercast.read_events gives them. Read them by that."
            )
    return results


def _series(bars: Bars | Reading | Iterable[Bars], wanted: Frequency | None) -> Sequence[Bars]:
    """The series, which are of one frequency.

    Raises:
        UsageError: the series differ in frequency, or are no bars.
        InvalidBars: the series are bars that no file would give.
    """
    series = list(bars.bars.values()) if isinstance(bars, Reading) else _listed(bars)
    for one in series:
        if not isinstance(one, Bars):
            raise UsageError(
                f"A {type(one).__name__} was given: the Bars of one or more symbols were needed. Read them by "
                "tickercast.read_csv or, from a pandas table, tickercast.read_frame."
            )
        wanted = wanted or one.frequency
        if one.frequency != wanted:
            raise UsageError(
                f"The bars of {one.symbol} are of {one.frequency}, and bars of {wanted} were needed, as the model or "
                f"other bars have them. Give those, or load a model with frequency='{one.frequency}'."
            )
    check_bars(series, datetime.now(UTC))
    return series


def _listed(bars: Any) -> list[Any]:
    """The arguments as a list; an argument that holds no bars when it is gone through stands for itself."""
    is_many = isinstance(bars, Iterable) and not isinstance(bars, Bars | pd.DataFrame | Mapping | str)
    return list(bars) if is_many else [bars]
