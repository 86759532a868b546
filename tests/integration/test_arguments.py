"""Whatever is given to a use case or to the library, the answer is a value or a `TickercastError`."""

import inspect
import itertools
import types
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Union, get_args, get_origin

import numpy as np
import pandas as pd
import pytest
from deploy.reference import VALUES

import tickercast
from tickercast.app import App
from tickercast.domain.bars import Reading
from tickercast.domain.frequency import DAILY, Frequency
from tickercast.domain.symbols import Symbols
from tickercast.domain.trading.strategy_backtest import Costs
from tickercast.errors import TickercastError, UsageError

METHODS = [
    name for name, _ in inspect.getmembers(App, inspect.isfunction) if name == "__init__" or not name.startswith("_")
]
UNCHECKED = {(Reading, "get"), (Costs, "most")}
"""The method of any mapping, and one that a backtest asks with its own arrays."""

ANSWERED = [
    (kind, name)
    for kind in VALUES
    for name, made in vars(kind).items()
    if inspect.isfunction(made) and not name.startswith("_") and (kind, name) not in UNCHECKED
    if len(inspect.signature(made).parameters) > 1
]
"""The methods, with arguments, of what the library answers with."""

FUNCTIONS = [name for name in tickercast.__all__ if name not in ("Bars", "Forecast", "errors")]

WRONG: Mapping[str, Any] = {
    "None": None,
    "an int": 3,
    "a large int": 10**30,
    "ints": [1, 2],
    "bytes": b"MSFT",
    "a NUL": "a\0b",
    "NULs": ["a\0b"],
    "an odd text": "x y://[",
    "a long text": "M" * 5000,
    "a lone surrogate": "\ud800",
    "an empty text": "",
    "a naive moment": datetime(1990, 1, 2, 3),
    "an aware moment": datetime(1990, 1, 2, 3, tzinfo=UTC),
    "no time": pd.NaT,
    "NaN": float("nan"),
    "infinity": float("inf"),
    "a bool": True,
    "a mapping": {"MSFT": 3},
    "an object": object(),
}
"""Arguments that no use case asks for, or few."""

REAL_WORK = {"check_drift", "promote", "run_day", "run_hour"}
"""These work for long where an argument is good after all, so that another one is not."""

IMPORT_MUCH = {"draw_evaluation", "promote", "stored_report", "train", "tune"}

MADE_ELSEWHERE = {("draw_evaluation", "a mapping")}
"""The content of what another use case makes is not checked again."""


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> App:
    folder = tmp_path_factory.mktemp("arguments")
    made = tickercast.open(
        bucket=f"file://{folder}/bucket",
        warehouse=f"duckdb://{folder}/warehouse.duckdb",
        mlflow_tracking_uri=f"sqlite:///{folder}/mlflow.db",
        source="sample",
        home=str(folder),
    )
    made.forecast(["MSFT"], "2012-08-15")
    return made


def usual(hint: Any) -> Any:
    """A value of a type; dates are of a year without bars, so that nothing is trained or forecast."""
    kind = get_origin(hint) or hint
    if kind in (Union, types.UnionType):
        return usual(get_args(hint)[0])
    if kind is Sequence:
        return ()
    if kind is Mapping:
        return {}
    known = {str: "MSFT", date: date(1990, 1, 2), int: 1, float: 1.0, bool: False, bytes: b"", Frequency: DAILY}
    return known.get(kind)


def faults(name: str, function: Callable[..., Any]) -> list[str]:
    """The wrong arguments that end in an error that is not ours."""
    given = inspect.signature(function).parameters
    rest = {key: usual(one.annotation) for key, one in given.items() if one.default is one.empty}
    if name in REAL_WORK:
        rest["symbols"] = "a b"
    found = []
    for key, (what, value) in itertools.product(given, WRONG.items()):
        try:
            function(**(rest | {key: value}))
        except TickercastError:
            continue
        except Exception as error:
            if (name, what) not in MADE_ELSEWHERE:
                found.append(f"{name}({key} = {what}): {type(error).__name__}: {error}")
    return found


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name in IMPORT_MUCH else []) for name in METHODS]
)
def test_a_use_case_refuses_what_it_cannot_take(name: str, app: App) -> None:
    assert faults(name, App if name == "__init__" else getattr(app, name)) == []


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda app: app.upload(["a.csv"]), "path is ['a.csv']: a text or a path was needed. Give that."),
        (lambda app: app.upload(None), "path is None: a text or a path was needed."),
        (lambda app: app.upload("a\0b"), "path is 'a\\x00b', which no file or table can hold"),
        (lambda app: app.upload("a.csv", symbol=3), "symbol is 3: a text was needed."),
        (lambda app: app.forecast(["MSFT", 2], "2012-08-15"), "symbols[1] is 2: a text was needed. Give that."),
        (lambda app: app.forecast({"MSFT"} | {2}, "2012-08-15"), "] is 2: a text was needed. Give that."),
        (lambda app: app.strategy_targets([], held={"MSFT": "x"}), "held['MSFT'] is 'x': a number was needed."),
        (lambda app: app.strategy_targets([], held={3: 0.5}), "a key of held is 3: a text was needed."),
        (lambda app: app.strategy_targets([3]), "variants[0] is 3: a Variant or a text or a function was needed."),
        (
            lambda app: app.report([], {"MSFT": {date(2012, 8, 16): "x"}}),
            "actual['MSFT'][datetime.date(2012, 8, 16)] is 'x': a number was needed.",
        ),
        (lambda app: app.forecast("MSFT", "2012-08-15", model=3), "model is 3: a text was needed."),
        (lambda app: app.forecast("MSFT", "2012-08-15", wait="x"), "wait is 'x': a number or None was needed."),
        (
            lambda app: app.forecast("MSFT", "2012-08-15", wait=-1),
            "wait is -1: a number of seconds from 0 on, or None,",
        ),
        (
            lambda app: app.forecast("MSFT", "2012-08-15", wait=float("nan")),
            "wait is nan: a number or None was needed.",
        ),
        (lambda app: app.overview(3), "symbols is 3: "),
        (lambda app: app.replay(3), "name is 3: a text was needed."),
        (lambda app: app.forecast_unstored("x", "MSFT"), "data is 'x': bytes was needed."),
        (lambda app: app.details("MSFT"), "made is 'MSFT': a Forecast was needed."),
        (lambda app: app.backfill_part(3), "part is 3: a Part was needed."),
        (lambda app: app.evaluation_baselines([], WRONG["an aware moment"]), "00:00, with a time zone: a date"),
        (lambda app: app.costs(np.datetime64("NaT", "D")), "datetime64('NaT','D'): a date or a text was needed."),
        (lambda app: app.tune("MSFT", date(1990, 1, 2), trials=1, source=3), "source is 3: a text or a MarketData"),
        (lambda app: app.report([]), "No forecast was given, and a report needs one."),
        (lambda app: app.odds("MSFT").above("31"), "'31' is no price: a finite number above 0 was needed."),
        (lambda app: app.odds("MSFT").below(True), "True is no price: "),
        (lambda app: app.odds("MSFT").between(29, [31]), "[31] is no price: "),
        (lambda app: app.odds("MSFT").prices("0.1"), "A chance of '0.1' was seen, and a share from 0.005 to 0.995 was"),
        (lambda app: app.odds("MSFT").prices(0.1, below="no"), "below is 'no': True or False was needed. Give that."),
        (lambda app: app.watchlist_file.add(3), "symbols is 3: a text or a list, each of it a text, was needed."),
        (lambda app: app.paths([]), "No symbol was named, and at least one was needed."),
        (lambda _: App("here"), "settings is 'here': a Settings or None was needed."),
    ],
)
def test_a_refusal_says_what_was_given_and_what_was_needed(
    call: Callable[[App], object], sentence: str, app: App
) -> None:
    with pytest.raises(UsageError) as refused:
        call(app)
    assert sentence in str(refused.value)


@pytest.mark.parametrize(
    "symbols",
    [{"MSFT"}, ("MSFT",), pd.Series(["MSFT"]), pd.Index(["MSFT"]), np.array(["MSFT"]), {"MSFT": 1}.keys()],
    ids=lambda symbols: type(symbols).__name__,
)
def test_any_column_or_set_of_symbols_is_a_list(symbols: Symbols, app: App) -> None:
    assert app.watchlist(symbols) == ["MSFT"]
    assert app.watchlist(one for one in symbols) == ["MSFT"]


def test_a_price_may_have_any_type_of_number(app: App) -> None:
    odds = app.odds("MSFT")
    for price in (np.float32(31), np.int64(31), 31):
        pd.testing.assert_frame_equal(odds.above(price), odds.above(31.0))
    pd.testing.assert_frame_equal(odds.prices(0.5, below=np.bool_(True)), odds.prices(0.5, below=True))


def test_a_symbol_counts_once_however_it_is_written(app: App) -> None:
    period = "2012-01-03", "2012-02-01"
    once, _ = app.evaluate(["ewma-t"], *period, source="sample", symbols="MSFT")
    again, _ = app.evaluate(["ewma-t"], *period, source="sample", symbols=["msft", "MSFT"])
    pd.testing.assert_frame_equal(again["ewma-t"], once["ewma-t"])
    assert app.watched(["msft", "MSFT"]) == app.hourly_watchlist(["msft", " MSFT"]) == ["MSFT"]


def test_a_moment_with_a_zone_is_a_date_where_a_text_is_one(app: App) -> None:
    [made] = app.forecast("MSFT", datetime(2012, 8, 15, 18, tzinfo=UTC))
    assert made.cutoff == date(2012, 8, 15)


def test_whoever_takes_a_date_takes_its_text() -> None:
    hints = {
        (name, parameter.name): get_args(parameter.annotation) or [parameter.annotation]
        for name in METHODS
        for parameter in inspect.signature(getattr(App, name)).parameters.values()
    }
    of_dates = {key: hint for key, hint in hints.items() if date in hint}
    plumbing = {("evaluation_baselines", "through"), ("promotion_baselines", "through"), ("tuned_recipe", "through")}

    assert len(of_dates) > 25
    assert {key for key, hint in of_dates.items() if str not in hint} == plumbing | {("results_of", "first")}


@pytest.mark.parametrize(
    "day",
    [
        date(2012, 8, 15),
        "2012-08-15",
        datetime(2012, 8, 15, 18),
        pd.Timestamp("2012-08-15"),
        np.datetime64("2012-08-15"),
        np.datetime64("2012-08-15T00:00:00.000000000"),
    ],
    ids=repr,
)
def test_a_date_may_be_a_text_or_a_date_of_pandas_or_numpy(day: Any, app: App) -> None:
    assert app.forecast("MSFT", day)[0].cutoff == date(2012, 8, 15)
    assert app.stored_forecast("MSFT", cutoff=day).made.cutoff == date(2012, 8, 15)
    assert app.odds("MSFT", day).made.cutoff == date(2012, 8, 15)
    assert [row.cutoff for row in app.overview("MSFT", day)] == [date(2012, 8, 15)]
    assert len(app.costs(day)) == len(app.costs(date(2012, 8, 15)))
    assert app.strategy_targets([], "MSFT", day).panel.ends[-1] == np.datetime64("2012-08-15")
    with pytest.raises(UsageError, match="The first date, 2012-08-15, is after the last, 2012-08-14"):
        app.strategy_backtest("always-flat", day, "2012-08-14")
    with pytest.raises(UsageError, match="The first date, 2012-08-15, is after the last, 2012-08-14"):
        app.score_portfolio(held_in(app), day, "2012-08-14")


def held_in(app: App) -> str:
    file = app.settings.home_folder / "holdings.csv"
    file.write_text("symbol,shares\nMSFT,10\n")
    return str(file)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_library_refuses_what_it_cannot_take(name: str, workspace: Path) -> None:
    assert faults(name, getattr(tickercast, name)) == []


@pytest.fixture(scope="module")
def answered(app: App) -> Mapping[type, Any]:
    """A value of each class that the library answers with."""
    made = app.forecast(["MSFT"], "2012-08-15")
    columns = "symbol, session_date AS date, open, high, low, close"
    reading = tickercast.read_frame(app.query(f"SELECT {columns} FROM latest_prices"))
    model = tickercast.load_model("random-walk")
    odds = app.odds("MSFT")
    evaluation = tickercast.evaluate(model, reading, "2012-01-03", "2012-02-01")
    values = [made, made[0], made[0].steps[0], reading, reading["MSFT"], model, evaluation, odds, odds.outlook]
    return {type(value): value for value in values}


@pytest.mark.parametrize(("kind", "name"), ANSWERED, ids=[f"{kind.__name__}.{name}" for kind, name in ANSWERED])
def test_a_value_of_the_library_refuses_what_it_cannot_take(
    kind: type, name: str, answered: Mapping[type, Any]
) -> None:
    assert faults(name, getattr(answered[kind], name)) == []


def test_whoever_takes_symbols_takes_a_set_or_a_column_of_them() -> None:
    hints = {
        f"{name}({parameter.name})": parameter.annotation
        for name in METHODS
        for parameter in inspect.signature(getattr(App, name)).parameters.values()
        if parameter.name in ("symbols", "watchlist", "asked")
    }

    assert len(hints) > 25
    assert {name for name, hint in hints.items() if hint not in (Symbols, Symbols | None)} == set()


def test_whoever_takes_a_frequency_takes_its_name() -> None:
    hints = {
        name: parameter.annotation
        for name in METHODS
        for parameter in inspect.signature(getattr(App, name)).parameters.values()
        if parameter.name == "frequency"
    }
    plumbing = {"models_of", "source_of", "store_of", "trades"}

    assert len(hints) > 15
    assert {name for name, hint in hints.items() if str not in get_args(hint)} == plumbing
