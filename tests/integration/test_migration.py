"""A warehouse and a bucket of the first edition, brought up to today's by `App.provision`, on both engines.

The first edition named the role of a forecast in `model_name`, the origin of a file in its name, and simulated bars in
the ledger's reason. `tests/support/first_edition` holds its tables and views, as they were.
"""

import itertools
import json
import os
import shutil
import signal
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest
from tests.support.bigquery_server import BigQueryServer
from tests.support.trading import PROJECT, Registry, shipped_bundle

from tickercast.app import App
from tickercast.backends.warehouse import duckdb as engine
from tickercast.backends.warehouse.bigquery import BigQueryWarehouse
from tickercast.backends.warehouse.duckdb import DuckDBWarehouse
from tickercast.backends.warehouse.sql import REWRITTEN
from tickercast.config import Settings
from tickercast.domain import objects
from tickercast.domain.bars import Bars
from tickercast.domain.cards.model_card import CHAMPION, CHAMPION_ALIAS, MODEL, Pointer, ServedModel
from tickercast.domain.forecast import LEVELS, Role
from tickercast.domain.frequency import DAILY
from tickercast.errors import TickercastError, UsageError, WarehouseUnavailable
from tickercast.jobs.champion.decisions import Decided, carry_out, recorded_decision
from tickercast.jobs.serving.handle_event import handle_event
from tickercast.ports import ObjectFinalized, Warehouse

pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")

FIRST_EDITION = PROJECT / "tests" / "support" / "first_edition"
TABLES = ("prices", "forecasts", "ingestions", "drift", "retrains")
NEW = ("spans", "scores", "skill_blocks", "forecast_counts")

HAS_SEEN = f"backfilled: the model has seen this date, {MODEL} 2 was trained through 2022-12-30"
BACKFILLED = f"backfilled: {MODEL} 1 was trained through 2021-12-31"
DECIDED = date(2023, 4, 28)

LAST = date(2023, 8, 18)
CUTOFFS = [date(2023, 7, 21) - timedelta(days=28 * number) for number in range(9, -1, -1)]
CHANGED = 5  # how many of these the first champion forecast
NOW = datetime(2023, 8, 21, tzinfo=UTC)
REAL = ("MSFT", "AAPL")

Rows = Mapping[str, pd.DataFrame]


# ---------------------------------------------------------------- the first edition


@dataclass(frozen=True)
class File:
    """A file that the first edition handled."""

    name: str
    generation: int
    received_at: datetime
    series: Sequence[Bars]
    models: Sequence[tuple[str, str]]
    reason: str | None = None

    def prices(self) -> pd.DataFrame:
        parts = [bars.frame.assign(symbol=bars.symbol) for bars in self.series]
        whole = pd.concat(parts, ignore_index=True).assign(ingested_at=self.received_at)
        return self._with_file(whole.assign(session_date=whole["session_date"].dt.date))

    def forecasts(self) -> pd.DataFrame:
        parts = [_forecast(bars, *model) for model in self.models for bars in self.series]
        return self._with_file(pd.concat(parts, ignore_index=True).assign(created_at=self.received_at))

    def ledger(self) -> pd.DataFrame:
        rows = [
            {
                "symbol": bars.symbol,
                "status": "forecast",
                "reason": self.reason,
                "rows": len(bars),
                "cutoff": bars.cutoff,
                "model_version": self.models[0][1],
            }
            for bars in self.series
        ]
        arrival = {"event_id": f"event-{self.generation}", "received_at": self.received_at, "duration_ms": 12.5}
        return self._with_file(pd.DataFrame(rows).assign(**arrival))

    def _with_file(self, rows: pd.DataFrame) -> pd.DataFrame:
        return rows.assign(object=self.name, generation=self.generation)


_WIDTHS = {(MODEL, "1"): 0.017, (MODEL, "2"): 0.0145, ("shadow", "1"): 0.017, ("random-walk", "1"): 0.0155}
_REACH = {"close_median": 0.02, "close_lo_80": -1.25, "close_hi_80": 1.3, "close_lo_95": -1.95, "close_hi_95": 2.0}


def _forecast(bars: Bars, name: str, version: str) -> pd.DataFrame:
    steps = np.arange(1, DAILY.horizon + 1)
    unit = _WIDTHS[name, version] * np.sqrt(steps)
    reach = _REACH | ({"close_median": 0.0} if name == "random-walk" else {})
    return pd.DataFrame(
        {
            "symbol": bars.symbol,
            "cutoff": bars.cutoff,
            "step": steps,
            "target_date": DAILY.next_steps(bars.symbol, bars.cutoff, DAILY.horizon),
            "last_close": bars.last_close,
            **{level: bars.last_close * np.exp(reach[level] * unit) for level in LEVELS},
            "model_name": name,
            "model_version": version,
        }
    )


def _files(make_bars: Callable[..., Bars]) -> list[File]:
    real = [make_bars(symbol, last=LAST, sessions=300, seed=seed) for seed, symbol in enumerate(REAL)]
    fake = [make_bars(symbol, last=LAST, sessions=300, seed=9 + seed) for seed, symbol in enumerate(("IBM", "MSFT"))]
    walk = ("random-walk", "1")
    numbers = iter(range(1, 100))

    def file(name: str, series: Sequence[Bars], until: date, models: Any, reason: str | None, at: date) -> File:
        known = [bars.until(until) for bars in series]
        return File(name, next(numbers), datetime.combine(at, time(22), UTC), known, [*models, walk], reason)

    made = []
    for number, day in enumerate(CUTOFFS):
        models = [(MODEL, "1")] if number < CHANGED else [(MODEL, "2"), ("shadow", "1")]
        made.append(file(objects.batch(day, 1), real, day, models, None, day))
    again = CUTOFFS[CHANGED - 1]  # forecast again, by the new champion
    made.append(file(objects.batch(again, 1), real, again, [(MODEL, "2"), ("shadow", "1")], None, again))
    for bars in fake:
        name = objects.single(LAST, bars.symbol)
        made.append(file(name, [bars], date(2023, 7, 21), [(MODEL, "2")], "simulated", LAST))
    for day, version, reason in (
        (date(2022, 9, 2), "1", BACKFILLED),
        (CUTOFFS[0], "1", BACKFILLED),  # beside a forecast of the time
        (date(2022, 8, 5), "2", HAS_SEEN),
        (CUTOFFS[1], "2", HAS_SEEN),
    ):
        made.append(file(objects.backfill(day, REAL), real, day, [(MODEL, version)], reason, LAST))
    made.append(file(objects.batch(LAST, 1), real, LAST, [(MODEL, "2"), ("shadow", "1")], None, LAST))
    return made


def _rejected() -> pd.DataFrame:
    at = datetime.combine(LAST, time(23), UTC)
    common = {"rows": 0, "cutoff": None, "model_version": None, "event_id": "event", "received_at": at}
    return pd.DataFrame(
        [
            common | {"object": name, "generation": generation, "symbol": symbol, "status": status, "reason": reason}
            for name, generation, symbol, status, reason in (
                ("ohlc/2023-08-18/X Y.csv", 901, None, "rejected", "the name is malformed"),
                ("ohlc/2023-08-18/META.csv", 902, "META", "rejected", "META has 9 sessions up to 2023-08-18"),
                (objects.backfill(LAST, ["META"]), 903, "META", "rejected", "META has 9 sessions up to 2023-08-18"),
                ("ohlc/2023-08-18/GE.csv", 904, "GE", "superseded", "overwritten by generation 905"),
            )
        ]
    ).assign(duration_ms=3.0)


def _drift() -> pd.DataFrame:
    def rows(day: date, note: str | None, score: float) -> list[dict[str, Any]]:
        measured = {"method": "psi", "score": score, "threshold": 0.2, "drifted": score > 0.2, "note": note}
        model = {"model_name": MODEL, "model_version": "2", "report": f"reports/drift/{day}.html"}
        at = {"created_at": datetime.combine(day, time(22), UTC)}
        named = [("input", "sigma_20"), ("input", "abs_1"), ("performance", "coverage_80")]
        return [{"day": day, "kind": kind, "name": name, **measured, **model, **at} for kind, name in named]

    return pd.DataFrame(
        [
            *rows(date(2023, 8, 17), None, 0.3),
            *rows(date(2023, 8, 17), "simulated", 0.9),
            *rows(date(2023, 8, 18), "simulated", 0.1),
        ]
    )


def _retrains() -> pd.DataFrame:
    decided = {"model_name": MODEL, "origins": 500, "pinball_ratio": 0.98, "cause": None}
    return pd.DataFrame(
        [
            decided | {"day": day, "kind": kind, "decision": decision, "reason": f"it was {decision}", **versions}
            for day, kind, decision, versions in (
                (date(2023, 3, 3), "promotion", "kept", {"champion_version": "1", "challenger_version": None}),
                (date(2023, 3, 31), "promotion", "kept", {"champion_version": "1", "challenger_version": "3"}),
                (DECIDED, "promotion", "promoted", {"champion_version": "1", "challenger_version": "2"}),
                (date(2023, 8, 18), "rollback", "confirmed", {"champion_version": "2", "challenger_version": "1"}),
            )
        ]
    ).assign(created_at=datetime(2023, 8, 18, 23, tzinfo=UTC))


Appended = Sequence[tuple[str, pd.DataFrame, str]]
"""Tables, rows and keys."""


@pytest.fixture(scope="module")
def rows(make_bars: Callable[..., Bars]) -> Appended:
    """The rows that the first edition appended, file by file, with its keys."""
    made = []
    for file in _files(make_bars):
        tables = {"prices": file.prices(), "forecasts": file.forecasts(), "ingestions": file.ledger()}
        made += [(table, rows, _key(table, file)) for table, rows in tables.items()]
    more = {"ingestions": _rejected(), "drift": _drift(), "retrains": _retrains()}
    return [*made, *((table, rows, f"{table}/1") for table, rows in more.items())]


def _key(table: str, file: File) -> str:
    return f"{table}/bucket/{file.name}#{file.generation}"


# ---------------------------------------------------------------- both engines


class Old:
    """A place of the first edition: its bucket, its warehouse, and today's application over both."""

    def __init__(self, folder: Path, url: str, first: Warehouse, server: BigQueryServer | None = None) -> None:
        self.folder = folder
        self.first = first
        self.server = server
        emulator = server.url if server else ""
        bucket = f"file://{folder}/bucket"
        self.settings = Settings(bucket=bucket, warehouse=url, bigquery_emulator_host=emulator)

    def app(self) -> App:
        """A new process, as it were."""
        return App(self.settings)

    def tables(self) -> Rows:
        return {name: self.first.read(name) for name in TABLES}

    @contextmanager
    def failing(self, attempt: int) -> Iterator[None]:
        """Let an attempt at upgrading fail.

        DuckDB undoes all of a failed attempt, so each attempt fails a statement later. BigQuery keeps what was done:
        each attempt fails at its second statement, or at its second change of a table's schema or label, or after the
        answer to its first statement was lost.
        """
        if self.server:
            where, faults = (
                ("jobs.query", ("", "accessDenied")),
                ("tables.patch", ("", "accessDenied")),
                ("jobs.query", ("drop", "", "accessDenied")),
            )[attempt % 3]
            self.server.fail(f"bigquery.{where}", *faults)
            try:
                yield
            finally:
                self.server.engine.faults.clear()
            return
        translate, numbers = engine.to_duckdb, itertools.count()

        def fail(text: str) -> str:
            if next(numbers) == attempt:
                raise WarehouseUnavailable("The disk is full.")
            return translate(text)

        with pytest.MonkeyPatch.context() as broken:
            broken.setattr(engine, "to_duckdb", fail)
            yield


Open = Callable[[], Old]


@pytest.fixture(params=["duckdb", "bigquery"])
def open_old(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    if request.param == "duckdb":
        return lambda: _on_duckdb(tmp_path)
    server = request.getfixturevalue("bigquery_server")
    return lambda: _on_bigquery(tmp_path, server)


def _on_bigquery(folder: Path, server: BigQueryServer) -> Old:
    dataset = f"d{uuid.uuid4().hex}"
    first = BigQueryWarehouse("test-project", dataset, FIRST_EDITION, emulator=server.url)
    return Old(folder, f"bigquery://test-project/{dataset}", first, server)


def _on_duckdb(folder: Path) -> Old:
    path = folder / "w.duckdb"
    return Old(folder, f"duckdb://{path}", DuckDBWarehouse(path, FIRST_EDITION))


@pytest.fixture
def old(request: pytest.FixtureRequest, open_old: Open, rows: Appended) -> Old:
    opened = open_old()
    return _filled(opened, rows) if opened.server else request.getfixturevalue("on_duckdb")


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory, rows: Appended) -> Path:
    """A file and a bucket of the first edition."""
    return _filled(_on_duckdb(tmp_path_factory.mktemp("filled")), rows).folder


@pytest.fixture
def on_duckdb(tmp_path: Path, filled: Path) -> Old:
    shutil.copytree(filled, tmp_path, dirs_exist_ok=True)
    return _on_duckdb(tmp_path)


def _filled(old: Old, rows: Appended) -> Old:
    old.first.provision()
    for table, added, key in rows:
        assert old.first.append(table, added, key=key)
    _publish(old)
    return old


def _publish(old: Old) -> None:
    """Publish two versions, and point at them as the first edition did; its cards had no `kind`."""
    models = old.app().models
    for version in ("1", "2"):
        card = json.loads(shipped_bundle().card.model_copy(update={"version": version}).model_dump_json())
        del card["kind"]
        where = f"models/{MODEL}/{version}"
        models.store.write(f"{where}/model.onnx", shipped_bundle().onnx)
        models.store.write(f"{where}/reference.json", shipped_bundle().reference)
        models.store.write(f"{where}/model.json", json.dumps(card, indent=2).encode())
    models.store.write(CHAMPION, json.dumps({"name": MODEL, "version": "2", "shadow": "1"}).encode() + b"\n")
    models.store.write(f"decisions/{MODEL}/{DECIDED}/promotion.json", _decision(DECIDED, challenger_version="2"))


def _decision(day: date, **more: Any) -> bytes:
    """The content of a decision as the first edition wrote it."""
    known = {"day": str(day), "kind": "promotion", "decision": "promoted", "reason": "it was promoted"}
    known |= {"training": "refitted", "cause": None, "model_name": MODEL, "champion_version": "1", "origins": 500}
    known |= {"pinball_ratio": 0.98, "pinball_ratio_lo": 0.97, "pinball_ratio_hi": 0.99, "walk_ratio": 0.95}
    known |= {"coverage_80": 0.8, "report": None, "run_id": "run-2"}
    return json.dumps(known | more, indent=2).encode() + b"\n"


# ---------------------------------------------------------------- the rows


def _expected(before: Rows) -> dict[str, pd.DataFrame]:
    """The expected rows of the first edition after the migration, worked out in Python."""
    ledger = before["ingestions"]
    named = ledger[ledger["symbol"].notna()].set_index(["object", "generation", "symbol"])["reason"]

    def reasons(rows: pd.DataFrame) -> pd.Series:
        keys = zip(rows["object"], rows["generation"], rows["symbol"], strict=True)
        return pd.Series([str(named.get(key)) for key in keys], rows.index)

    def origins(rows: pd.DataFrame) -> list[str]:
        return ["backfill" if "/backfill-" in name else "live" for name in rows["object"]]

    def rewritten(rows: pd.DataFrame, **more: Any) -> pd.DataFrame:
        written_at = pd.to_datetime(rows["generation"], unit="us", utc=True)
        same = {"frequency": "1d", "generation": rows["generation"].astype(str), "written_at": written_at}
        return rows.assign(**same, **more)

    forecasts, prices, drift = before["forecasts"], before["prices"], before["drift"]
    roles = {MODEL: "champion", "random-walk": "baseline", "shadow": "shadow"}
    champion = forecasts["model_name"] == MODEL
    prices = prices.assign(simulated=reasons(prices) == "simulated", live=[one == "live" for one in origins(prices)])
    newest = prices.sort_values(["live", "generation"]).drop_duplicates(
        ["symbol", "simulated", "session_date"], keep="last"
    )
    files = prices.groupby(["symbol", "simulated", "object", "generation"], as_index=False).agg(
        first_session=("session_date", "min"),
        last_session=("session_date", "max"),
        announced_at=("ingested_at", "min"),
    )
    return {
        "prices": rewritten(newest.drop(columns="live"), closed_at=None, origin=origins(newest)),
        "spans": rewritten(files, first_closed_at=None, last_closed_at=None),
        "forecasts": rewritten(
            forecasts,
            cutoff_at=None,
            target_at=None,
            role=forecasts["model_name"].map(roles),
            model_name=forecasts["model_name"].replace("shadow", MODEL),
            origin=origins(forecasts),
            simulated=reasons(forecasts) == "simulated",
            model_has_seen=champion & reasons(forecasts).str.startswith("backfilled: the model has seen this date"),
            doubtful=False,
        ),
        "ingestions": rewritten(
            ledger,
            reason=ledger["reason"].where(ledger["reason"] != "simulated", None),
            findings=None,
            origin=origins(ledger),
            simulated=(ledger["reason"] == "simulated").where(ledger["status"] == "forecast", None),
            rows_new=ledger["rows"],
            cutoff_at=None,
            results_date=None,
            results_session=None,
            results_predicted=None,
            bytes_loaded=None,
            bytes_queried=None,
            memory_mib=None,
        ),
        "drift": drift.drop(columns="note").assign(simulated=drift["note"] == "simulated", frequency=None),
        "retrains": before["retrains"]
        .rename(columns={"challenger_version": "candidate_version"})
        .assign(frequency=None),
    }


def _read(app: App, name: str) -> pd.DataFrame:
    """The rows of a table; those of the first edition have no quantiles, which BigQuery stores as an empty list."""
    rows = app.tables.read(name)
    if "quantiles" in rows:
        assert not any(isinstance(values, np.ndarray | list) and len(values) for values in rows["quantiles"])
    return rows.drop(columns="quantiles", errors="ignore")


def _assert_same_rows(found: pd.DataFrame, wanted: pd.DataFrame, name: str) -> None:
    assert set(found) == set(wanted), name
    columns = sorted(found)
    ours, theirs = (_sorted(rows[columns]) for rows in (found, wanted))
    pd.testing.assert_frame_equal(ours, theirs, check_dtype=False, obj=name)


def _sorted(rows: pd.DataFrame, names: Mapping[str, str] | None = None) -> pd.DataFrame:
    """Sorted by all columns, measured numbers last; every missing value is None."""
    rows = rows.rename(columns=names or {})
    measured = [name for name in rows.columns if pd.api.types.is_float_dtype(rows[name])]
    keys: list[Any] = [*rows.columns.difference(measured, sort=False), *measured]
    ordered = rows.sort_values(keys, ignore_index=True, key=_comparable)
    return ordered.astype(object).where(ordered.notna(), None)


def _comparable(column: pd.Series) -> pd.Series:
    return column.astype(str) if column.dtype == object else column


def test_no_row_is_lost_and_each_gets_what_its_texts_said(old: Old) -> None:
    before = old.tables()
    app = old.app()
    made = app.provision()
    assert {*TABLES, "champion_forecasts", "forecast_history"} <= set(made)
    for name, wanted in _expected(before).items():
        _assert_same_rows(_read(app, name), wanted, name)
    forecasts = app.tables.read("forecasts")
    kinds = forecasts.groupby(["role", "model_name", "model_version", "origin"]).size() // (10 * len(REAL))
    assert kinds.to_dict() == {
        ("baseline", "random-walk", "1", "live"): 13,
        ("baseline", "random-walk", "1", "backfill"): 4,
        ("champion", MODEL, "1", "live"): 5,
        ("champion", MODEL, "2", "live"): 8,
        ("champion", MODEL, "1", "backfill"): 2,
        ("champion", MODEL, "2", "backfill"): 2,
        ("shadow", MODEL, "1", "live"): 7,
    }
    assert forecasts["model_has_seen"].sum() == 2 * 10 * len(REAL)
    assert app.tables.read("ingestions")["simulated"].isna().sum() == len(_rejected())
    for name in ("prices", "forecasts", "ingestions"):
        with pytest.raises(WarehouseUnavailable):
            app.tables.read(f"{name}_before")


def test_a_second_time_changes_nothing(old: Old) -> None:
    old.app().provision()
    app = old.app()
    before = {name: _read(app, name) for name in (*TABLES, *NEW)}
    assert app.pending() == {}
    assert app.provision() == []
    for name, rows in before.items():
        _assert_same_rows(_read(app, name), rows, name)


def test_an_event_of_the_first_edition_that_comes_again_changes_nothing(
    old: Old, make_bars: Callable[..., Bars]
) -> None:
    app = old.app()
    app.provision()
    before = {name: _read(app, name) for name in (*TABLES, *NEW)}
    for file in _files(make_bars):
        event = ObjectFinalized(
            event_id="again", bucket=app.store.bucket, name=file.name, generation=file.generation, size=1
        )
        outcome = handle_event(
            event, store=app.store, warehouse=app.tables, served=_nobody, past=_nobody, now=lambda: NOW
        )
        assert outcome.status == "duplicate"
    for name, rows in before.items():
        _assert_same_rows(_read(app, name), rows, name)


def _nobody(*_: Any) -> Any:
    raise AssertionError("Nothing has to be forecast.")


def test_the_keys_of_the_first_edition_are_still_known_in_a_file(
    on_duckdb: Old, make_bars: Callable[..., Bars]
) -> None:
    """BigQuery's new tables have forgotten them; the ledger stands in."""
    app = on_duckdb.app()
    app.provision()
    file = _files(make_bars)[0]
    for table in ("forecasts", "prices"):
        made = app.tables.read(table).head()
        assert not app.tables.append(table, made, key=_key(table, file))


# ---------------------------------------------------------------- the views

UNCHANGED = ("latest_prices", "indicators", "price_histogram", "predicted_prices", "ingestion_health", "drift_daily")
BY_ROLE = ("forecast_history", "latest_forecasts", "forecast_scores", "forecast_skill", "coverage", "model_history")
ADDED = [
    "quantiles",
    "role",
    "origin",
    "frequency",
    "written_at",
    "closed_at",
    "cutoff_at",
    "target_at",
    "bars_new",
    "scored_at",
]
ADDED += ["doubtful", "backfilled"]  # the latter only where it was not before


def test_every_view_answers_as_it_did(old: Old) -> None:
    names = [path.stem for path in sorted((FIRST_EDITION / "views").glob("*.sql"))]
    assert set(names) == {*UNCHANGED, *BY_ROLE}
    before = {name: old.first.read(name) for name in names}
    app = old.app()
    app.provision()
    for name in UNCHANGED:
        _assert_same_answer(app.tables.read(name), before[name], name)
    for name in BY_ROLE:
        for role, was in ((Role.CHAMPION, MODEL), (Role.SHADOW, "shadow")):
            found = app.tables.read(name, {"role": role})
            wanted = before[name][before[name]["model_name"] == was].assign(model_name=MODEL)
            _assert_same_answer(found, wanted, f"{name} {role}")
    for name in ("forecast_history", "latest_forecasts", "forecast_scores"):
        found = app.tables.read(name, {"role": Role.BASELINE}).drop(columns="model_has_seen", errors="ignore")
        wanted = before[name][before[name]["model_name"] == "random-walk"].drop(columns="has_seen", errors="ignore")
        _assert_same_answer(found, wanted, f"{name} baseline")


def test_the_champions_forecasts_are_those_that_were_the_champions(old: Old) -> None:
    history = old.first.read("forecast_history", {"model_name": MODEL})
    app = old.app()
    app.provision()
    _assert_same_answer(app.tables.read("champion_forecasts"), history, "champion_forecasts")


REDEFINED = ["macd", "macd_signal", "macd_histogram"]
"""Columns that the first release defined otherwise: they are seeded as TA-Lib seeds them now."""


def _assert_same_answer(found: pd.DataFrame, wanted: pd.DataFrame, name: str) -> None:
    assert len(wanted), f"{name} was empty, and so shows nothing"
    kept = found.drop(columns=[*set(ADDED) - set(wanted)], errors="ignore")
    ours, theirs = _sorted(kept[sorted(kept)]), _sorted(_today(wanted))
    assert list(ours) == list(theirs), name
    assert len(ours) == len(theirs), name
    for column in ours.columns.difference(REDEFINED):
        if pd.api.types.is_float_dtype(kept[column]):
            np.testing.assert_allclose(
                ours[column].astype(float), theirs[column].astype(float), rtol=1e-9, err_msg=f"{name}.{column}"
            )
        else:
            assert list(ours[column]) == list(theirs[column]), f"{name}.{column}"


def _today(rows: pd.DataFrame) -> pd.DataFrame:
    renamed = rows.rename(columns={"has_seen": "model_has_seen"})
    texts = {"generation": renamed["generation"].astype(str)} if "generation" in renamed else {}
    if "direction_right" in renamed:  # a median that stays states no direction today
        moves = renamed["close_median"] != renamed["last_close"]
        texts["direction_right"] = renamed["direction_right"].astype(object).where(moves, None)
    return renamed.assign(**texts)[sorted(renamed)]


def test_bars_from_before_a_split_follow_the_file_after_it_and_scores_stay(
    open_old: Open, make_bars: Callable[..., Bars]
) -> None:
    old = open_old()
    old.first.provision()
    whole = make_bars("MSFT", last=LAST, sessions=120)
    by_ten = {name: whole.columns[name] / 10 for name in ("open", "high", "low", "close", "adj_close")}
    after = Bars("MSFT", {**whole.columns, **by_ten, "volume": whole.columns["volume"] * 10})
    newest = Bars("MSFT", {name: values[-60:] for name, values in after.columns.items()})
    day = date(2023, 7, 21)
    models = [(MODEL, "1"), ("random-walk", "1")]
    for number, (bars, at) in enumerate(((whole.until(day), day), (newest, LAST)), start=1):
        file = File(objects.single(at, "MSFT"), number, datetime.combine(at, time(22), UTC), [bars], models)
        for table, rows in {"prices": file.prices(), "forecasts": file.forecasts()}.items():
            old.first.append(table, rows, key=_key(table, file))
        old.first.append("ingestions", file.ledger(), key=_key("ingestions", file))
    before = {name: old.first.read(name) for name in ("latest_prices", "forecast_scores")}
    app = old.app()
    app.provision()
    latest = app.tables.read("latest_prices").sort_values("session_date")
    for name in ("open", "high", "low", "close", "adj_close", "volume"):
        np.testing.assert_allclose(latest[name], after.columns[name], rtol=1e-12)
    assert before["latest_prices"]["close"].max() > 5 * latest["close"].max()
    scores = app.tables.read("forecast_scores")
    assert len(scores) == 2 * 10
    _assert_same_answer(scores, before["forecast_scores"], "forecast_scores")


# ---------------------------------------------------------------- the bucket


def test_the_pointer_of_the_first_edition_serves_what_it_served(old: Old) -> None:
    app = old.app()
    generation = app.models.generation()
    app.provision()
    assert app.models.generation() == generation
    assert app.models.pointer() == Pointer(
        name=MODEL,
        version="2",
        served=(
            ServedModel(name="random-walk", version="1", role=Role.BASELINE),
            ServedModel(name=MODEL, version="1", role=Role.SHADOW),
        ),
    )
    served = [(one.model.name, one.model.version, one.role) for one in app.served_models()]
    assert served == [(MODEL, "2", "champion"), ("random-walk", "1", "baseline"), (MODEL, "1", "shadow")]


def test_a_decision_of_the_first_edition_is_read_and_not_carried_out_again(old: Old) -> None:
    app = old.app()
    app.provision()
    decided = recorded_decision(app.models, MODEL, DECIDED, "promotion")
    assert decided is not None
    assert (decided.candidate_version, decided.champion_version) == ("2", "1")
    generation, registry = app.models.generation(), Registry()
    now = datetime(2023, 8, 21, tzinfo=UTC)
    assert carry_out(decided, models=app.models, registry=registry, warehouse=app.tables, now=now) == decided
    assert (app.models.generation(), registry.aliases) == (generation, {})
    assert len(app.tables.read("retrains")) == len(_retrains())


def test_a_decision_that_the_first_edition_only_wrote_down_is_carried_out(old: Old) -> None:
    app, day = old.app(), date(2023, 8, 21)
    content = _decision(day, champion_version="2", challenger_version="3")
    app.models.store.write(f"decisions/{MODEL}/{day}/promotion.json", content)
    third = shipped_bundle()
    third = replace(third, card=third.card.model_copy(update={"version": "3"}))
    app.models.write(third)
    app.provision()
    registry, now = Registry(bundles=[third]), datetime(2023, 8, 21, 23, tzinfo=UTC)
    again = Decided(
        day=day, kind="promotion", decision="kept", reason="another run", model_name=MODEL, champion_version="2"
    )
    decided = carry_out(again, models=app.models, registry=registry, warehouse=app.tables, now=now)
    assert (decided.decision, decided.candidate_version) == ("promoted", "3")
    assert (app.models.pointer().version, app.models.pointer().shadow) == ("3", "2")
    assert registry.aliases == {CHAMPION_ALIAS: "3"}
    [row] = app.tables.read("retrains", {"day": day}).to_dict("records")
    assert (row["decision"], row["candidate_version"]) == ("promoted", "3")


# ---------------------------------------------------------------- interruptions


def test_an_upgrade_that_fails_at_each_of_its_steps_in_turn_is_finished_by_the_next(old: Old) -> None:
    before, views = old.tables(), old.first.read("forecast_skill", {"model_name": MODEL})
    failures = 0
    for attempt in range(200):
        try:
            with old.failing(attempt):
                old.app().provision()
            break
        except TickercastError:
            failures += 1
    assert failures > len(TABLES) + len(UNCHANGED) + len(BY_ROLE)
    app = old.app()
    assert app.pending() == {}
    for name, wanted in _expected(before).items():
        _assert_same_rows(_read(app, name), wanted, name)
    _assert_same_answer(app.tables.read("forecast_skill", {"role": Role.CHAMPION}), views, "forecast_skill")


def test_an_upgrade_that_was_interrupted_is_no_empty_warehouse(
    bigquery_server: BigQueryServer, tmp_path: Path, rows: Appended
) -> None:
    """Its rows lie in tables that were renamed."""
    old = _filled(_on_bigquery(tmp_path, bigquery_server), rows)
    bigquery_server.fail("bigquery.jobs.query", *[""] * len(REWRITTEN), "accessDenied")
    with pytest.raises(TickercastError):
        old.app().provision()
    bigquery_server.reset()
    app = old.app()
    assert {app.pending()[name] for name in REWRITTEN} == {"changed"}
    with pytest.raises(UsageError, match=r"missing or of another release\. Run `tickercast provision`"):
        app._warehouse_says()
    app.provision()
    assert app._warehouse_says().endswith(" ingestions")


def test_what_an_interrupted_upgrade_did_not_drop_is_dropped_by_the_next(
    bigquery_server: BigQueryServer, tmp_path: Path
) -> None:
    old = _on_bigquery(tmp_path, bigquery_server)
    app = old.app()
    app.provision()
    app.tables._maintain(f"CREATE TABLE `{app.tables._path}.prices_before` (symbol STRING)")
    assert app.tables.pending() == {"prices": "changed"}
    assert app.tables.provision() == ["prices"]
    assert (app.tables.pending(), app.tables.provision()) == ({}, [])


def test_columns_that_were_added_and_not_filled_are_filled(on_duckdb: Old) -> None:
    before = on_duckdb.tables()
    with duckdb.connect(on_duckdb.folder / "w.duckdb") as connection:
        for table, column, kind in (
            *(("forecasts", name, "VARCHAR") for name in ("role", "origin")),
            *(("forecasts", name, "BOOLEAN") for name in ("simulated", "model_has_seen")),
            ("prices", "simulated", "BOOLEAN"),
            ("drift", "simulated", "BOOLEAN"),
            ("retrains", "candidate_version", "VARCHAR"),
            ("ingestions", "origin", "VARCHAR"),
        ):
            connection.execute(f"ALTER TABLE {table} ADD COLUMN {column} {kind}")
    app = on_duckdb.app()
    app.provision()
    for name, wanted in _expected(before).items():
        _assert_same_rows(_read(app, name), wanted, name)


def test_a_warehouse_of_the_second_edition_keeps_what_its_columns_say(on_duckdb: Old) -> None:
    """It had columns for roles, origins and simulated bars, and its texts told nothing of them."""
    wanted = _expected(on_duckdb.tables())
    with duckdb.connect(on_duckdb.folder / "w.duckdb") as connection:
        for statement in SECOND_EDITION.split(";"):
            connection.execute(statement)
    app = on_duckdb.app()
    app.provision()
    for name, rows in wanted.items():
        _assert_same_rows(_read(app, name), rows, name)


SECOND_EDITION = """
ALTER TABLE prices ADD COLUMN simulated BOOLEAN;
UPDATE prices SET simulated = (object, symbol) IN (SELECT (object, symbol) FROM ingestions WHERE reason = 'simulated');
ALTER TABLE forecasts ADD COLUMN role VARCHAR;
ALTER TABLE forecasts ADD COLUMN origin VARCHAR;
ALTER TABLE forecasts ADD COLUMN simulated BOOLEAN;
ALTER TABLE forecasts ADD COLUMN model_has_seen BOOLEAN;
UPDATE forecasts SET
  role = CASE model_name WHEN 'random-walk' THEN 'baseline' WHEN 'shadow' THEN 'shadow' ELSE 'champion' END,
  model_name = CASE model_name WHEN 'shadow' THEN 'tickercast-lstm' ELSE model_name END,
  origin = CASE WHEN object LIKE '%/backfill-%' THEN 'backfill' ELSE 'live' END,
  simulated = (object, symbol) IN (SELECT (object, symbol) FROM ingestions WHERE reason = 'simulated'),
  model_has_seen = model_name = 'tickercast-lstm' AND (object, generation) IN (
    SELECT (object, generation) FROM ingestions WHERE reason LIKE '%has seen%'
  );
ALTER TABLE ingestions ADD COLUMN origin VARCHAR;
ALTER TABLE ingestions ADD COLUMN simulated BOOLEAN;
UPDATE ingestions SET
  origin = CASE WHEN object LIKE '%/backfill-%' THEN 'backfill' ELSE 'live' END,
  simulated = CASE WHEN status = 'forecast' THEN coalesce(reason = 'simulated', FALSE) END,
  reason = nullif(reason, 'simulated')
"""


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE IF NOT EXISTS forecasts",
        "FROM forecasts_before",
        "FROM prices_before",
        "UPDATE retrains",
        "CREATE OR REPLACE VIEW coverage",
        "FROM moved",
    ],
)
def test_an_upgrade_that_is_killed_leaves_the_first_edition_and_the_next_run_upgrades_it(
    on_duckdb: Old, statement: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = on_duckdb.tables()
    child = os.fork()
    if not child:
        try:
            translate = engine.to_duckdb
            monkeypatch.setattr(engine, "to_duckdb", lambda text: _kill_at(statement, text) or translate(text))
            on_duckdb.app().provision()
        finally:
            os._exit(1)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    for name, rows in before.items():
        _assert_same_rows(on_duckdb.first.read(name), rows, name)
    app = on_duckdb.app()
    app.provision()
    for name, wanted in _expected(before).items():
        _assert_same_rows(_read(app, name), wanted, name)


def _kill_at(statement: str, text: str) -> None:
    if any(line.strip().startswith(statement) for line in text.splitlines()):
        os.kill(os.getpid(), signal.SIGKILL)
