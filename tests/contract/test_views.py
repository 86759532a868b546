"""The views, queries, migrations and compactions of `sql/`.

Google's reference engine analyses them, and executes them on the same rows as DuckDB; views are worked by hand too.
"""

import functools
import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest
import sqlglot
from deploy.scans import UNREACHED
from sqlglot import expressions
from tests.support import directions

from tickercast import engines
from tickercast.backends.warehouse.sql import (
    BEFORE,
    REWRITTEN,
    SqlObject,
    additions,
    columns,
    of_all_months,
    read_compactions,
    read_migration,
    read_objects,
    read_rewrites,
    to_duckdb,
    what_remains,
)
from tickercast.config import resource
from tickercast.domain import calendar
from tickercast.domain.measures.scores import BLOCK_DAYS, SUMS, addends

SQL = resource("sql")
DOCS = Path(__file__).parents[2] / "docs"
OBJECTS = {found.name: found for found in read_objects(SQL)}
VIEWS = [name for name, found in OBJECTS.items() if found.is_view]
QUERIES = {path.stem: path.read_text() for path in sorted((SQL / "queries").glob("*.sql"))}
REWRITES = read_rewrites(SQL)
UPDATES = sorted({path.stem for path in (SQL / "migrations").glob("*.sql")} - set(REWRITES))
FIRST_RELEASE = Path(__file__).parents[1] / "support" / "first_edition"
COMPACTIONS = read_compactions(SQL)
DERIVED = ("scores", "skill_blocks", "forecast_counts")
"""The tables that follow from the forecasts, and the bars that have come true."""
CHARTS = dict(
    re.findall(
        r"^```sql\n-- ([^\n]+)\n(.+?)```$",
        (DOCS / "looker-studio.md").read_text(),
        re.MULTILINE | re.DOTALL,
    )
)
PARAMETERS = {
    "earliest": date(2000, 1, 1),
    "first": date(2000, 1, 1),
    "last": date(2100, 1, 1),
    "every": False,
    "first_bar": date(2000, 1, 1),
    "frequency": "1d",
    "least": 1,
    "origins": 3,
    "rows": 4,
    "since": date(2000, 1, 1),
    "steps": 10,
    "symbols": ["LONG", "A", "B"],
    "day": date(2023, 7, 20),
    "token": "0a1b2c3d",
    "until": date(2100, 1, 1),
    "portfolio": "0a1b2c3d4e5f6071",
}
"""Values of the queries' parameters, smaller than what there is."""
AT = datetime(2023, 7, 22, 12, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SHARED = Path(__file__).parents[3] / "shared" / "data" / "us_daily_2000_2022.parquet"
DUCKDB_TYPES = {
    "DOUBLE[]": "TYPE_ARRAY",
    "VARCHAR": "TYPE_STRING",
    "BIGINT": "TYPE_INT64",
    "DOUBLE": "TYPE_DOUBLE",
    "BOOLEAN": "TYPE_BOOL",
    "DATE": "TYPE_DATE",
    "TIMESTAMP WITH TIME ZONE": "TYPE_TIMESTAMP",
}


def before() -> list[SqlObject]:
    """The tables of the first release, as they are while their rows are rewritten."""
    made = []
    for name in REWRITTEN:
        text = (FIRST_RELEASE / "tables" / f"{name}.sql").read_text()
        added = "".join(f"{column}, " for column in additions(SQL, name))
        text = text.replace(f" {name} (", f" {name}{BEFORE} ({added}", 1)
        made.append(SqlObject(f"{name}{BEFORE}", is_view=False, text=text))
    return made


# ---------------------------------------------------------------- rows


def bars(symbol: str, closes: Sequence[float], *, last: date = date(2023, 7, 21), **more: Any) -> pd.DataFrame:
    """One bar a business day up to `last`, one cent wide on either side."""
    close = np.array(closes, float)
    table = pd.DataFrame({"session_date": pd.bdate_range(end=last, periods=len(close))})
    table = table.assign(open=close, high=close + 0.01, low=close - 0.01, close=close, adj_close=close, volume=1e6)
    table = table.assign(symbol=symbol, frequency="1d", simulated=False, object=f"ohlc/{symbol}.csv", ingested_at=AT)
    table = table.assign(**named(**more))
    return table.assign(origin=np.where(table["object"].str.contains("backfill-"), "backfill", "live"))


def named(generation: int = 1, **more: Any) -> dict[str, Any]:
    """The columns for a version of a file; as texts, the second precedes the first."""
    written_at = EPOCH + timedelta(microseconds=8 + generation)
    return {"generation": str(8 + generation), "written_at": written_at} | more


def forecasts(
    symbol: str, cutoff: date, last_close: float, *, reach: float, model_name: str, **more: Any
) -> pd.DataFrame:
    """Ten steps round the last close; see `spread`."""
    origin = pd.DataFrame({"symbol": [symbol], "cutoff": [pd.Timestamp(cutoff)], "last_close": [last_close]})
    return spread(origin.assign(reach=reach, model_name=model_name)).assign(**named(**more))


def spread(origins: pd.DataFrame) -> pd.DataFrame:
    """Ten steps an origin: the 80% interval is `reach` wide on either side, as a log-return, times √step."""
    table = origins.merge(pd.DataFrame({"step": np.arange(1, 11)}), how="cross")
    targets = np.busday_offset(table["cutoff"].to_numpy().astype("datetime64[D]"), table["step"])
    table["target_date"] = targets.astype("datetime64[us]")
    width = table.pop("reach") * np.sqrt(table["step"])
    for name, share in {"median": 0, "lo_80": -1, "hi_80": 1, "lo_95": -1.6, "hi_95": 1.6}.items():
        table[f"close_{name}"] = table["last_close"] * np.exp(share * width)
    table["role"] = np.where(table["model_name"] == "random-walk", "baseline", "champion")
    table = table.assign(
        frequency="1d", origin="live", simulated=False, model_has_seen=False, doubtful=False, model_version="1"
    )
    made_at = (table["cutoff"] + pd.Timedelta(hours=22)).dt.tz_localize("UTC")
    return table.assign(object="ohlc/" + table["symbol"] + ".csv", created_at=made_at, **named())


def ledger(symbol: str | None, number: int, **more: Any) -> dict[str, Any]:
    return {
        "object": f"ohlc/{symbol}.csv", "symbol": symbol, "frequency": "1d", "status": "forecast", "reason": None,
        "origin": "live", "simulated": False, "rows": 100, "rows_new": 100, "cutoff": date(2023, 7, 21),
        "model_version": "1", "event_id": str(number), "received_at": AT, "duration_ms": 10.0 * number,
    } | named(**more)  # fmt: skip


def ledger_of_hours() -> pd.DataFrame:
    hours = [(symbol, AT - timedelta(hours=100 * back)) for symbol in ("BTCUSDT", "ETHUSDT") for back in range(3)]
    own = [{"frequency": "1h", "cutoff": end.date(), "cutoff_at": end} for _, end in hours]
    return pd.DataFrame(
        [ledger(symbol, number, **more) for number, ((symbol, _), more) in enumerate(zip(hours, own, strict=True))]
    )


def digest(generation: int, month: int = 6, **more: Any) -> dict[str, Any]:
    return {
        "symbol": "LONG", "frequency": "1d", "month": date(2023, month, 1), "simulated": False, "bars": 20,
        "digest": 2**62 + generation, "object": "ohlc/LONG.csv",
    } | named(generation, **more)  # fmt: skip


def drift(name: str, score: float, **more: Any) -> dict[str, Any]:
    return {
        "day": date(2023, 7, 21), "kind": "input", "name": name, "method": "psi", "score": score, "threshold": 0.2,
        "drifted": score > 0.2, "model_name": "lstm", "model_version": "1", "report": None, "created_at": AT,
        "simulated": False,
    } | more  # fmt: skip


def decision(number: int, **more: Any) -> dict[str, Any]:
    return {
        "day": date(2023, 7, number), "kind": "promotion", "decision": "kept", "reason": "why", "training": "refitted",
        "cause": None, "model_name": "lstm", "champion_version": "1", "candidate_version": str(number), "origins": 9,
        "pinball_ratio": 0.9, "pinball_ratio_lo": None, "pinball_ratio_hi": None, "walk_ratio": None,
        "coverage_80": 0.8, "report": None, "run_id": None, "created_at": AT,
    } | more  # fmt: skip


BACKFILL = "ohlc/backfill-LONG.csv"
SIMULATED = "ohlc/FAKE.csv"


@functools.cache
def rows() -> dict[str, pd.DataFrame]:
    """Several symbols interleaved: with gaps, of a single bar, constant without volume, simulated, and both.

    Two champions forecast, beside a companion, a shadow and the random walk, live and for dates long past.
    """
    random = np.random.default_rng(5)

    def walk(count: int) -> Any:
        return 100 * np.exp(np.cumsum(0.02 * random.standard_t(5, count)))

    prices = [
        bars("GAPS", walk(190)).iloc[np.flatnonzero(random.random(190) < 0.9)],
        bars("LONG", walk(190)),
        bars("LONG", walk(30) / 2, generation=2, object="ohlc/again.csv", last=date(2023, 6, 30)),
        bars("LONG", walk(60) / 3, generation=3, object=BACKFILL, last=date(2023, 5, 2)),
        bars("ONE", [7.5]),
        bars("FLAT", np.full(60, 3.25), volume=None),
        bars("FLAT", walk(40), object=SIMULATED, simulated=True),
        bars("FAKE", walk(60), object=SIMULATED, simulated=True),
    ]
    sessions = pd.bdate_range(end="2023-07-21", periods=190)
    served = [("lstm", 0.03, "champion"), ("random-walk", 0.025, "baseline")]
    beside = [("other", 0.028, "companion"), ("lstm", 0.035, "shadow")]
    made = [
        forecasts(symbol, cutoff.date(), 100.0, reach=reach, model_name=name, role=role)
        for symbol in ("GAPS", "LONG", "FLAT")
        for cutoff in sessions[::12]
        for name, reach, role in (served + beside if symbol == "LONG" else served)
    ]

    def vintage(symbol: str, session: int, name: str = "lstm", **more: Any) -> None:
        made.append(forecasts(symbol, sessions[session].date(), 99.0, reach=0.02, model_name=name, **more))

    vintage("LONG", 120, generation=2, object="b", created_at=AT)
    vintage("GAPS", 120, "renamed", generation=2, object="c")
    past: dict[str, Any] = {"origin": "backfill", "object": BACKFILL, "generation": 3}
    for name, more in (("lstm", {"model_has_seen": True}), ("random-walk", {})):
        vintage("LONG", 120, name, **past | more)
        vintage("LONG", 125, name, **past | more)
    for symbol in ("FAKE", "FLAT"):
        for name in ("lstm", "random-walk"):
            vintage(symbol, -15, name, object=SIMULATED, simulated=True)
    bad = {"status": "rejected", "simulated": None, "rows": 0, "rows_new": 0, "cutoff": None, "model_version": None}
    past = {"object": BACKFILL, "generation": 3, "origin": "backfill", "cutoff": date(2023, 5, 2)}
    later = {"object": SIMULATED, "simulated": True, "received_at": AT + timedelta(days=1)}
    health = [
        *(ledger(symbol, number) for number, symbol in enumerate(("GAPS", "LONG", "ONE", "FLAT"), start=1)),
        ledger("FAKE", 5, **later),
        ledger("FLAT", 5, **later),
        ledger(None, 6, **bad | {"reason": "no header"}),
        ledger("NEW", 7, **bad | {"reason": "one bar"}),
        ledger("LONG", 8, **bad | {"reason": "a hole", "generation": 0, "object": "ohlc/old.csv"}),
        ledger("OLD", 9, **bad | {"reason": "one bar", "origin": "backfill", "object": "ohlc/backfill-OLD.csv"}),
        ledger("LONG", 10, **bad | {"status": "superseded", "generation": 0}),
        ledger("LONG", 11, **past),
    ]
    drifts = [
        drift("return", 0.1),
        drift("volume_z", 0.5),
        drift("volume_z", 0.1, created_at=AT - timedelta(hours=1)),
        drift("volume_z", 0.9, created_at=AT + timedelta(hours=1), simulated=True),
        drift("sigma", 0.9, simulated=True, kind="prediction"),
        drift("sigma", 0.3, day=date(2023, 7, 20)),
    ]
    hourly = directions.hours()
    months = [digest(1, 5), digest(1), digest(2), digest(3), digest(4, simulated=True), digest(2, symbol="GAPS")]
    return _with_a_correction(
        {
            "prices": pd.concat([*prices, hourly["prices"]]).sample(frac=1, random_state=1),
            "directions": hourly["directions"].sample(frac=1, random_state=1),
            "forecasts": pd.concat(made).sample(frac=1, random_state=1),
            "ingestions": pd.DataFrame(health),
            "drift": pd.DataFrame(drifts),
            "retrains": pd.DataFrame([decision(number) for number in (1, 2, 3)]),
            "digests": pd.DataFrame(months),
            "usage": pd.DataFrame([used(number) for number in range(6)]),
            "list_prices": pd.DataFrame([listed(name, month) for name in PRICED for month in (1, 2)]),
            "portfolio_scores": pd.DataFrame([portfolio_score(number) for number in range(6)]),
            "fills": pd.DataFrame([filled(number) for number in range(6)]),
            "account_states": pd.DataFrame([account(number) for number in range(6)]),
        }
    )


PRICED = ("cpu", "memory", "requests", "queries", "tables")


def listed(name: str, month: int) -> dict[str, Any]:
    """A list price, twice as high in the second month."""
    return {
        "name": name,
        "value": (PRICED.index(name) + 1) * month / 100,
        "free": 0.0,
        "unit": "USD",
        "source": "a page",
        "date": f"2026-0{month}",
        "listed_at": datetime(2026, month, 1, tzinfo=UTC),
    }


def filled(number: int) -> dict[str, Any]:
    """A fill of one of two accounts: one holds two symbols, of which the first was split since; the other sold all."""
    at = datetime(2023, 7, 17 + number // 2, 14, tzinfo=UTC)
    split, hours = number == 0, directions.hours()["prices"]
    kept = {  # the close of the first of these bars was corrected since
        name: value if split else None
        for hour, name, factor in zip(range(3), ("basis", "basis_20", "basis_40"), (1.98, 2, 2), strict=True)
        for name, value in (
            (name, factor * hours["adj_close"].iloc[hour]),
            (f"{name}_at", hours["closed_at"].iloc[hour]),
        )
    }
    return {
        "fill_id": f"f{number}",
        "client_id": f"c{number}",
        "account": "paper://a" if number < 4 else "paper://b",
        "strategy": "drawn",
        "strategy_hash": "0a1b2c3d",
        "frequency": "1h" if split else "1d",
        "symbol": hours["symbol"].iloc[0] if split else ("ONE", "LONG", "LONG", "ONE", "ONE")[number - 1],
        "side": "sell" if number in (3, 5) else "buy",
        "quantity": 3.0 if number < 4 else 2.0,
        "price": 100.0 + number,
        "fee": 0.25,
        **kept,
        "filled_at": at,
        "written_at": at,
    }


def account(number: int) -> dict[str, Any]:
    """One of three states of one of two accounts: up, then down."""
    at = datetime(2023, 7, 17 + number % 3, 20, tzinfo=UTC)
    return {
        "account": "paper://a" if number < 3 else "paper://b",
        "broker": "paper://",
        "strategy": "drawn",
        "strategy_hash": "0a1b2c3d",
        "frequency": "1d",
        "cutoff": at.date(),
        "cutoff_at": at,
        "currency": "USD",
        "cash": 50.0,
        "equity": (100.0, 125.0, 75.0)[number % 3],
        "simulated": True,
        "recorded_at": at,
    }


def portfolio_score(number: int) -> dict[str, Any]:
    """A score of one of two portfolios; two runs scored the last cutoff of the first."""
    cutoff = date(2023, 6, 1 + min(number % 4, 2))
    return {
        "portfolio": "0a1b2c3d4e5f6071" if number < 4 else "ffffffffffffffff",
        "name": "holdings.csv",
        "cutoff": cutoff,
        "step": 1,
        "target_date": cutoff + timedelta(days=1),
        "currency": "USD",
        "value": 1000.0,
        "value_at_risk_95": 20.0 + number,
        "value_at_risk_99": 30.0,
        "expected_shortfall_95": 25.0,
        "gain": -22.0,
        "simulated": False,
        "counts": True,
        "scored_at": datetime(2023, 7, 1, number, tzinfo=UTC),
    }


def used(number: int) -> dict[str, Any]:
    """A bundle of calls of one of two tokens, in one of two months."""
    at = datetime(2023, 6 + number % 2, 3, tzinfo=UTC)
    who = ("0a1b2c3d", "desk") if number < 4 else ("ffffffff", "other")
    return {
        "day": at.date(),
        "token_id": who[0],
        "owner": who[1],
        "route": "/v1/symbols",
        "status": 200,
        "calls": 10 + number,
        "seconds": 0.5,
        "instance": "one",
        "first_at": at,
        "last_at": at + timedelta(minutes=number),
    }


def _with_a_correction(tables: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Tables with spans, scores and sums; some scores were replaced, and their sums taken back.

    Of the forecasts, those until April have been counted.
    """
    tables = completed(tables)
    scores = tables["scores"]
    old = scores[(scores["symbol"] == "LONG") & (scores["step"] == 1)].sort_values(["cutoff", "role"]).head(8)
    basis = {"revision": 2, "basis": "ohlc/LONG.csv#10", "scored_at": named(2)["written_at"]}
    new = old.assign(actual_close=1.1 * old["actual_close"], walk_loss=3 * old["walk_loss"], **basis)
    sums = pd.concat([blocks(new, 1), blocks(old, -1)]).assign(scored_at=basis["scored_at"])
    return tables | {
        "scores": pd.concat([scores, new]).sample(frac=1, random_state=1),
        "skill_blocks": pd.concat([tables["skill_blocks"], sums]),
        "forecast_counts": counts(tables["forecasts"], datetime(2023, 4, 30, tzinfo=UTC)),
    }


def counts(made: pd.DataFrame, until: datetime) -> pd.DataFrame:
    """The rows of `forecast_counts` once a compaction has counted the forecasts that were stored by then."""
    return in_duckdb(what_remains(COMPACTIONS["forecast_counts"]), {"forecasts": made}, {"until": until})


def blocks(scored: pd.DataFrame, sign: int) -> pd.DataFrame:
    """The sums that scores add to `skill_blocks`, or take back where `sign` is -1."""
    counted = scored[~scored["simulated"].astype(bool) & ~scored["model_has_seen"].astype(bool)]
    columns = {name: values.to_numpy() for name, values in counted.items()}
    made_on = counted["created_at"].dt.tz_localize(None).dt.normalize()
    columns["backfilled"] = (made_on > counted["target_date"]).to_numpy()
    added = pd.DataFrame(addends(columns), counted.index)
    days = counted["cutoff"].to_numpy().astype("datetime64[D]").astype(int)
    month = counted["target_date"].to_numpy().astype("datetime64[M]").astype("datetime64[us]")
    keys = ["model_name", "model_version", "role", "symbol", "frequency", "step"]
    parts = counted[keys].assign(block=days // BLOCK_DAYS, month=month, **added)
    summed = parts.groupby([*keys, "block", "month", "has_scale"], as_index=False)[list(SUMS)].sum()
    return summed.assign(**{name: summed[name] * sign for name in SUMS})


RETIRED = {"drift": {"note": "STRING"}, "retrains": {"challenger_version": "STRING"}, "skill_blocks": {}}
"""Columns of the first release that are gone."""

TOLD = "backfilled: the model has seen this date, lstm 1 was trained through 2023-12-31"

FILLED = {"drift": "simulated", "retrains": "candidate_version", "skill_blocks": "direction_stated"}
"""Columns that an update fills."""


@functools.cache
def unfilled() -> dict[str, pd.DataFrame]:
    """Rows of the first release in the tables that are updated, except for one of each, which is of today."""
    drifts, decisions, sums = (rows()[name].astype(object) for name in FILLED)
    older = {
        "drift": drifts.assign(note=drifts["simulated"].map({True: "simulated", False: None}), simulated=None),
        "retrains": decisions.assign(challenger_version=decisions["candidate_version"], candidate_version=None),
        "skill_blocks": sums.assign(direction_stated=None),
    }
    today = {
        "drift": drifts.assign(note=None),
        "retrains": decisions.assign(challenger_version=None),
        "skill_blocks": sums,
    }
    return {name: pd.concat([older[name].iloc[1:], today[name].iloc[:1]]) for name in older}


@functools.cache
def few() -> dict[str, pd.DataFrame]:
    """Some of the rows: a symbol of three files, a simulated one, and one that is both; nothing that is new today."""
    tables = rows()
    prices = tables["prices"]
    prices = prices[prices["session_date"].between("2023-04-24", "2023-06-09")]
    forecasts = tables["forecasts"]
    known = forecasts["role"].isin(["champion", "baseline", "shadow"]) & forecasts["step"].isin([1, 2, 10])
    forecasts = forecasts[known & forecasts["cutoff"].between("2023-04-24", "2023-07-01")]
    symbols = ["LONG", "FLAT", "FAKE"]
    return {
        "prices": prices[prices["symbol"].isin(symbols)],
        "forecasts": forecasts[forecasts["symbol"].isin(symbols)],
        "ingestions": tables["ingestions"],
    }


def written_by_first_release(tables: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    made = {name: tables[name].astype(object) for name in REWRITTEN}
    seen = made["forecasts"].loc[made["forecasts"]["model_has_seen"].astype(bool), "object"]
    ledger, forecasts = made["ingestions"], made["forecasts"]
    reason = ledger["reason"].mask(ledger["simulated"].eq(True), "simulated").mask(ledger["object"].isin(seen), TOLD)
    name = forecasts["model_name"].mask(forecasts["role"].eq("shadow"), "shadow")
    made |= {"ingestions": ledger.assign(reason=reason), "forecasts": forecasts.assign(model_name=name)}
    emptied = {name: dict.fromkeys(column.name for column in additions(SQL, name)) for name in REWRITTEN}
    return _set_aside({name: table.assign(**emptied[name]) for name, table in made.items()})


def written_by_second_release(tables: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """The same rows as the second release wrote them, with columns for what texts had told before."""
    return _set_aside({name: tables[name] for name in REWRITTEN})


def _set_aside(tables: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    kept = {found.name: [column.name for column in columns(found)] for found in before()}
    return {
        f"{name}{BEFORE}": table.assign(generation=table["generation"].astype(int))[kept[f"{name}{BEFORE}"]]
        for name, table in tables.items()
    }


# ---------------------------------------------------------------- engines


@pytest.fixture(scope="session")
def zeta(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Any:
    pytest.importorskip("zetasql")
    from tests.support.zeta import Zeta

    cache = getattr(pytestconfig, "cache", None)  # not there with -p no:cacheprovider
    return Zeta(SQL, more=before(), cache=cache.mkdir("zetasql") if cache else tmp_path_factory.mktemp("zetasql"))


@pytest.fixture(scope="session")
def viewed(zeta: Any) -> Callable[[str], pd.DataFrame]:
    """The rows of a view of `rows()` on Google's engine."""

    @functools.cache
    def read(view: str) -> pd.DataFrame:
        return zeta.read(f"SELECT * FROM {view}", rows_for(OBJECTS[view].text, read))

    return read


def rows_for(query: str, viewed: Callable[[str], pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """`rows()`, and those of the views that a query reads from: to work each out once saves a minute."""
    return rows() | {view: viewed(view) for view in SqlObject("", is_view=False, text=query).sources & {*VIEWS}}


def created() -> duckdb.DuckDBPyConnection:
    """A database with the tables and views, and the tables of the first release, all empty."""
    connection = duckdb.connect()
    connection.execute("SET GLOBAL TimeZone = 'UTC'")
    for found in [*before(), *OBJECTS.values()]:
        connection.execute(to_duckdb(found.text))
    return connection


project = functools.cache(created)


@contextmanager
def stored(tables: Mapping[str, pd.DataFrame]) -> Iterator[duckdb.DuckDBPyConnection]:
    """A transaction with the rows of some tables; spans, scores and sums follow from the others if not given.

    Nobody else sees what is in it, and it is taken back at the end.
    """
    with project().cursor() as connection:
        connection.begin()
        fill(connection, tables)
        yield connection
        connection.rollback()


@functools.cache
def with_rows() -> duckdb.DuckDBPyConnection:
    """A database with `rows()`, to read from."""
    connection = created()
    fill(connection, rows())
    return connection


def of_rows(query: str, parameters: Mapping[str, Any] | None = None) -> pd.DataFrame:
    """Execute a query over `rows()`."""
    return with_rows().execute(query, dict(parameters or {})).df()


def in_duckdb(
    query: str, tables: Mapping[str, pd.DataFrame], parameters: Mapping[str, Any] | None = None
) -> pd.DataFrame:
    """Execute a query over the rows of some tables; spans, scores and sums follow from the others if not given."""
    with stored(tables) as connection:
        return connection.execute(query, dict(parameters or {})).df()


def fill(connection: duckdb.DuckDBPyConnection, tables: Mapping[str, pd.DataFrame]) -> None:
    for name in [*(found.name for found in before()), *OBJECTS]:
        if name in tables:
            insert(connection, name, tables[name])
        elif name == "spans" and "prices" in tables:
            insert(connection, "spans", spans(tables["prices"]))
        elif name in DERIVED and "forecasts" in tables:
            connection.execute(f"INSERT INTO {name} BY NAME {to_duckdb(REWRITES[name])}")


def completed(tables: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """The tables with those that follow from them."""
    with stored(tables) as connection:
        derived = {name: connection.execute(f"SELECT * FROM {name}").df() for name in ("spans", *DERIVED)}
        return derived | dict(tables)


def spans(prices: pd.DataFrame) -> pd.DataFrame:
    """The rows that announce the files of some bars."""
    keys = ["symbol", "frequency", "simulated", "object", "generation", "written_at"]
    session, at = ("session_date", "ingested_at")
    return prices.groupby(keys, as_index=False).agg(
        first_session=(session, "min"), last_session=(session, "max"), announced_at=(at, "min")
    )


def modified_in_duckdb(
    statement: str, table: str, tables: Mapping[str, pd.DataFrame], retired: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """All rows of a table after an UPDATE or DELETE of it."""
    with stored({}) as connection:
        for name, kind in (retired or {}).items():
            connection.execute(to_duckdb(f"ALTER TABLE {table} ADD COLUMN {name} {kind}"))
        for name, some in tables.items():
            insert(connection, name, some)
        connection.execute(to_duckdb(statement))
        return connection.execute(f"SELECT * FROM {table}").df()


def insert(connection: duckdb.DuckDBPyConnection, table: str, some: pd.DataFrame) -> None:
    some = some.astype(dict.fromkeys(some.select_dtypes("float64").columns, "Float64"))
    connection.register("given_rows", some)
    connection.execute(f"INSERT INTO {table} BY NAME SELECT * FROM given_rows")


def types_in_duckdb(view: str) -> dict[str, str]:
    return _types(in_duckdb(f"DESCRIBE {view}", {}))


def _types(described: pd.DataFrame) -> dict[str, str]:
    return {
        name: DUCKDB_TYPES[kind] for name, kind in zip(described["column_name"], described["column_type"], strict=True)
    }


def same(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    order = list(expected.columns)
    assert list(found.columns) == order
    found, expected = (
        table.astype(object)
        .where(table.notna(), None)
        .sort_values(order, key=lambda column: column.map(_rank))
        .reset_index(drop=True)
        for table in (found, expected)
    )
    assert len(found) == len(expected)
    for name in order:
        ours, theirs = found[name], expected[name]
        assert list(ours.isna()) == list(theirs.isna()), name
        known = ours.notna()
        if known.any() and isinstance(theirs[known].iloc[0], float):
            np.testing.assert_allclose(
                ours[known].astype(float), theirs[known].astype(float), rtol=1e-9, atol=1e-12, err_msg=name
            )
        else:
            assert [*map(_listed, ours[known])] == [*map(_listed, theirs[known])], name


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, np.ndarray) else value


def _rank(value: Any) -> str:
    return f"{value:+.6e}" if isinstance(value, float) else str(value)


@pytest.mark.parametrize("view", VIEWS)
def test_each_view_has_the_same_columns_and_types_on_both_engines(view: str, zeta: Any) -> None:
    assert types_in_duckdb(view) == zeta.columns(f"SELECT * FROM {view}")


@pytest.mark.parametrize("view", VIEWS)
def test_each_view_gives_the_same_rows_on_both_engines(view: str, viewed: Callable[[str], pd.DataFrame]) -> None:
    assert len(viewed(view))
    same(of_rows(f"SELECT * FROM {view}"), viewed(view))


def parameters_of(query: str) -> dict[str, Any]:
    names = {found.name for found in sqlglot.parse_one(query, read="bigquery").find_all(expressions.Parameter)}
    return {name: PARAMETERS[name] for name in names}


@pytest.mark.parametrize("name", QUERIES)
def test_each_query_has_the_same_columns_and_types_on_both_engines(name: str, zeta: Any) -> None:
    query, given = QUERIES[name], parameters_of(QUERIES[name])
    described = in_duckdb(f"DESCRIBE {to_duckdb(query)}", {}, given)
    assert _types(described) == zeta.columns(query, given)


@pytest.mark.parametrize("chart", CHARTS)
def test_each_chart_of_the_reports_shows_the_same_rows_on_both_engines(
    chart: str, zeta: Any, viewed: Callable[[str], pd.DataFrame]
) -> None:
    query = CHARTS[chart]
    expected, found = zeta.read(query, rows_for(query, viewed), {}), of_rows(to_duckdb(query))
    assert len(expected)
    same(found, expected)


def test_each_chart_of_the_reports_has_its_sql() -> None:
    page = (DOCS / "looker-studio.md").read_text()
    told = {name for name in re.findall(r"^\| ([^|]+?) \| ", page, re.MULTILINE) if name != "chart"}
    assert len(told) > 12
    assert told == {name for chart in CHARTS for name in ([chart] if chart in told else chart.split(", "))}


@pytest.mark.parametrize("name", QUERIES)
def test_each_query_gives_the_same_rows_on_both_engines_in_the_same_order(
    name: str, zeta: Any, viewed: Callable[[str], pd.DataFrame]
) -> None:
    query, given, more = QUERIES[name], parameters_of(QUERIES[name]), {}
    if name == "current_hours":
        given, more = given | {"frequency": "1h"}, {"ingestions": ledger_of_hours()}
    expected = zeta.read(query, rows_for(query, viewed) | more, given)
    found = in_duckdb(to_duckdb(query), rows() | more, given) if more else of_rows(to_duckdb(query), given)
    assert len(expected)
    assert "LIMIT" not in query or len(expected) in given.values()  # the limit was reached
    same(found, expected)
    order = sqlglot.parse_one(query, read="bigquery").args.get("order")
    columns = [key.this.name for key in order.expressions if key.this.name in expected] if order else []
    same(found[columns].reset_index(names="place"), expected[columns].reset_index(names="place"))


@pytest.mark.parametrize("table", UPDATES)
def test_each_update_makes_the_same_rows_on_both_engines(table: str, zeta: Any) -> None:
    migration = read_migration(SQL, table)
    assert migration is not None
    retired, older = RETIRED[table], {table: unfilled()[table]}
    assert set(migration.retires) == set(retired)
    expected = zeta.modify(migration.text, table, older, retired)
    found = modified_in_duckdb(migration.text, table, older, retired)
    same(found, expected)
    assert older[table][FILLED[table]].isna().any()
    assert found[FILLED[table]].notna().all()
    same(modified_in_duckdb(migration.text, table, {table: found}, retired), found)
    same(found.drop(columns=list(retired)), of_rows(f"SELECT * FROM {table}"))


@pytest.mark.parametrize("table", REWRITES)
def test_each_rewrite_has_the_columns_of_its_table_in_their_order(table: str, zeta: Any) -> None:
    kinds = {"INT64": "TYPE_INT64", "FLOAT64": "TYPE_DOUBLE", "ARRAY<FLOAT64>": "TYPE_ARRAY"}
    wanted = {each.name: kinds.get(each.kind, f"TYPE_{each.kind}") for each in columns(OBJECTS[table])}
    found = zeta.columns(REWRITES[table])
    assert list(found.items()) == list(wanted.items())  # BigQuery matches them by position
    assert list(in_duckdb(to_duckdb(REWRITES[table]), {}).columns) == list(wanted)


@pytest.mark.parametrize("release", [written_by_first_release, written_by_second_release])
@pytest.mark.parametrize("table", REWRITES)
def test_each_rewrite_makes_the_same_rows_on_both_engines(
    table: str, release: Callable[..., dict[str, pd.DataFrame]], zeta: Any
) -> None:
    tables = release(few()) if table not in DERIVED else completed(few())
    expected, found = zeta.read(REWRITES[table], tables), in_duckdb(to_duckdb(REWRITES[table]), tables)
    assert len(expected)
    same(_in_utc(found), expected)
    required = [each.name for each in columns(OBJECTS[table]) if each.required]
    assert found[required].notna().all(axis=None)


def _in_utc(found: pd.DataFrame) -> pd.DataFrame:
    """DuckDB's counterpart of TIMESTAMP_MICROS has no zone until it is stored."""
    return found.assign(written_at=found["written_at"].dt.tz_localize("UTC")) if _is_naive(found) else found


def _is_naive(found: pd.DataFrame) -> bool:
    return "written_at" in found and found["written_at"].dt.tz is None


def rewritten(table: str, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The rows of a table after the rewrite of those of the first release."""
    with stored(tables) as connection:
        connection.execute(f"INSERT INTO {table} BY NAME {to_duckdb(REWRITES[table])}")
        return connection.execute(f"SELECT * FROM {table}").df()


@pytest.mark.parametrize("release", [written_by_first_release, written_by_second_release])
@pytest.mark.parametrize("table", [*REWRITTEN, "spans"])
def test_a_rewrite_turns_rows_of_earlier_releases_into_those_of_today(
    table: str, release: Callable[..., dict[str, pd.DataFrame]]
) -> None:
    tables = few()
    prices, whole = tables["prices"], rows()["prices"].query("object == 'ohlc/LONG.csv'")
    close = whole.set_index("session_date")["close"]
    on_one_basis = prices["session_date"].map(close).where(prices["symbol"] == "LONG", prices["close"])
    ohlc = dict.fromkeys(("open", "high", "low", "close", "adj_close"), on_one_basis)
    tables = tables | {"prices": prices.assign(**ohlc)}
    found = rewritten(table, release(tables))
    if table == "spans":
        tables = tables | {"spans": spans(tables["prices"])}
    today = in_duckdb(f"SELECT * FROM {table}", tables)
    if table == "prices":  # the first release stored each bar of each file; the newest counts
        today = today.assign(rank=list(zip(~today["object"].eq(BACKFILL), today["written_at"], strict=True)))
        today = today.sort_values("rank").drop_duplicates(["symbol", "session_date", "simulated"], keep="last")
        assert len(today) < len(prices)
        today = today.drop(columns="rank")
    if table == "forecasts" and release is written_by_first_release:  # which named every shadow so
        assert set(found[found["role"] == "shadow"]["model_name"]) == {"tickercast-lstm"}
        found = found.assign(model_name=found["model_name"].replace("tickercast-lstm", "lstm"))
    if table == "ingestions" and release is written_by_first_release:  # what a backfill tells stays in the reason
        assert set(found[found["object"] == BACKFILL]["reason"]) == {TOLD}
        found = found.assign(reason=found["reason"].where(found["reason"] != TOLD, None))
    same(found, today)


def test_what_a_damaged_model_gave_has_no_score_and_spoils_no_sum() -> None:
    broken = forecasts("A", CUTOFF, 100.0, reach=0.03, model_name="lstm", generation=2, object="b")
    tables = {"prices": bars("A", [100, 101], last=date(2023, 7, 4)), "forecasts": pd.concat([both_models(), broken])}
    with stored(tables) as connection:
        connection.execute("UPDATE forecasts SET close_median = 'NaN', close_lo_80 = 'NaN' WHERE object = 'b'")
        for name in ("scores", "skill_blocks"):
            connection.execute(f"DELETE FROM {name}")
            connection.execute(f"INSERT INTO {name} BY NAME {to_duckdb(REWRITES[name])}")
        found = connection.execute("SELECT pinball_ratio FROM forecast_skill WHERE step IS NULL AND symbol = 'A'").df()
    assert list(found["pinball_ratio"].between(0.1, 10)) == [True]


def on_two_bases(whole: int, part: int, *, adjusted: float = 1.0) -> dict[str, pd.DataFrame]:
    """Two files of the first release, with generations: one up to 4 July, the other after a split of ten to one."""
    kept = bars("A", [98, 100, 103], last=date(2023, 7, 4), generation=whole, volume=1e5)
    after = bars("A", [10.3, 10.1], last=date(2023, 7, 5), generation=part, object="ohlc/after.csv", volume=1e6)
    prices = pd.concat([kept, after.assign(adj_close=after["close"] * adjusted)])
    ledgers = pd.DataFrame([ledger("A", 1, generation=9)])
    return written_by_first_release({"prices": prices, "forecasts": both_models(), "ingestions": ledgers})


@pytest.mark.parametrize(
    ("generations", "closes", "volumes"),
    [((1, 2), [9.8, 10, 10.3, 10.1], [1e6] * 4), ((2, 1), [98, 100, 103, 101], [1e5] * 4)],
)
def test_older_bars_on_another_basis_follow_the_newest_file(
    generations: tuple[int, int], closes: list[float], volumes: list[float]
) -> None:
    found = rewritten("prices", on_two_bases(*generations)).sort_values("session_date")
    for name in ("open", "close", "adj_close"):
        np.testing.assert_allclose(found[name], closes, rtol=1e-12)
    np.testing.assert_allclose(found["high"] - found["close"], 0.01 * np.array(closes) / _closes(generations))
    assert list(found["volume"]) == pytest.approx(volumes)
    tables = {"prices": found, "forecasts": both_models()}
    scores = in_duckdb("SELECT * FROM forecast_scores WHERE model_name = 'lstm' ORDER BY step", tables)
    assert list(scores["actual_close"]) == pytest.approx([103, 101])


def _closes(generations: tuple[int, int]) -> list[float]:
    """The closes as their files had them."""
    return [98, 100, 10.3 if generations == (1, 2) else 103, 10.1]


def test_a_dividend_in_the_newest_file_lowers_the_adjusted_closes_before_it() -> None:
    older = bars("A", [50, 51, 52], last=date(2023, 7, 4))
    newer = bars("A", [52, 53], last=date(2023, 7, 5), generation=2, object="ohlc/after.csv")
    newer["adj_close"] = [52 * 0.98, 53]
    tables = written_by_first_release(
        {"prices": pd.concat([older, newer]), "forecasts": both_models(), "ingestions": pd.DataFrame([ledger("A", 1)])}
    )
    found = rewritten("prices", tables).sort_values("session_date")
    assert list(found["close"]) == pytest.approx([50, 51, 52, 53])
    assert list(found["adj_close"]) == pytest.approx([50 * 0.98, 51 * 0.98, 52 * 0.98, 53])
    assert list(found["volume"]) == [1e6] * 4


NEVER = datetime(2100, 1, 1, tzinfo=UTC)
"""Later than any file."""

FEW_COMPACTED = {
    "prices": "session_date BETWEEN '2023-04-25' AND '2023-05-02' AND symbol IN ('LONG', 'FAKE')",
    "forecasts": "cutoff BETWEEN '2023-04-10' AND '2023-05-12' AND symbol = 'LONG' AND step = 1",
    "scores": "symbol = 'LONG' AND step = 1 AND cutoff < '2022-12-15'",
    "digests": "TRUE",
}
"""Rows that are enough, since the reference engine compares each with each."""


@pytest.mark.parametrize("table", FEW_COMPACTED)
def test_each_compaction_drops_the_same_rows_on_both_engines_and_changes_no_view(table: str, zeta: Any) -> None:
    some = rows() | {table: of_rows(f"SELECT * FROM {table} WHERE {FEW_COMPACTED[table]}")}
    compaction = of_all_months(COMPACTIONS[table]).replace("@until", "TIMESTAMP '2100-01-01 00:00:00+00'")
    expected = zeta.modify(compaction, table, {table: some[table]})
    found = modified_in_duckdb(compaction, table, some)
    assert 0 < len(found) < len(some[table])
    same(found, expected)
    remaining = what_remains(COMPACTIONS[table])
    same(found, in_duckdb(remaining, some, {"until": NEVER} if "$until" in remaining else {}))
    compacted, whole = answers(some | {table: found}), answers(some)
    for view in set(VIEWS) - {"score_revisions"}:  # which shows what was replaced
        same(compacted[view], whole[view])


def test_the_sums_of_blocks_are_merged_from_the_scores_that_both_engines_count(zeta: Any) -> None:
    using = sqlglot.parse_one(of_all_months(COMPACTIONS["skill_blocks"]), read="bigquery").args["using"].this
    query = using.sql("bigquery").replace("@until", "TIMESTAMP '2023-05-02 00:00:00+00'")
    few = {"scores": of_rows("SELECT * FROM scores WHERE step < 3 AND symbol = 'LONG'")}
    found = in_duckdb(to_duckdb(query), few)
    assert len(found) > 8
    same(found, zeta.read(query, few))


@pytest.mark.parametrize("until", [datetime(2023, 4, 10, tzinfo=UTC), NEVER])
def test_merging_the_sums_of_blocks_changes_no_view(until: datetime) -> None:
    some = rows()
    merged = of_rows(what_remains(COMPACTIONS["skill_blocks"]), {"until": until})
    twice = some | {"skill_blocks": pd.concat([some["skill_blocks"], undone(some), some["skill_blocks"].iloc[:3]])}
    found = answers(some | {"skill_blocks": merged}, OF_SUMS)
    for view in OF_SUMS:
        same(found[view], of_rows(f"SELECT * FROM {view}"))
    again = in_duckdb(what_remains(COMPACTIONS["skill_blocks"]), twice, {"until": NEVER})
    same(again, of_rows(what_remains(COMPACTIONS["skill_blocks"]), {"until": NEVER}))


def test_sums_that_no_compaction_has_added_up_say_the_same() -> None:
    some = rows()
    sums = some["skill_blocks"]
    assert set(sums["grain"].dropna()) == {"both", "symbol", "step"}
    as_stored = sums[sums["grain"].isna() | (sums["grain"] == "both")].assign(grain=None)
    found = answers(some | {"skill_blocks": as_stored}, OF_SUMS)
    for view in OF_SUMS:
        same(found[view], of_rows(f"SELECT * FROM {view}"))


def undone(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Rows that take the first three blocks back."""
    taken = tables["skill_blocks"].iloc[:3].copy()
    numbers = [name for name in taken.select_dtypes("number") if name not in ("step", "block")]
    taken[numbers] *= -1
    return taken


OF_SUMS = ("forecast_skill", "coverage", "calibration", "model_history")
"""The views that read `skill_blocks`."""


def answers(tables: Mapping[str, pd.DataFrame], views: Collection[str] = VIEWS) -> dict[str, pd.DataFrame]:
    """All rows of some views."""
    with stored(tables) as connection:
        return {view: connection.execute(f"SELECT * FROM {view}").df() for view in views}


@pytest.mark.parametrize("view", VIEWS)
def test_views_of_empty_tables_are_empty(view: str) -> None:
    assert in_duckdb(f"SELECT * FROM {view}", {}).empty


@pytest.fixture
def planner() -> Iterator[duckdb.DuckDBPyConnection]:
    """The empty tables and views, without an optimizer that would drop every filter there."""
    with project().cursor() as connection:
        connection.execute("SET disabled_optimizers = 'statistics_propagation'")
        yield connection
        connection.execute("RESET disabled_optimizers")


@pytest.mark.parametrize("view", VIEWS)
def test_a_filter_on_a_symbol_frequency_or_date_reaches_the_tables_or_is_listed_as_one_that_does_not(
    view: str, planner: duckdb.DuckDBPyConnection
) -> None:
    reached, others = [], []
    for name, kind, *_ in planner.execute(f"DESCRIBE {view}").fetchall():
        if kind == "DATE" or name in ("symbol", "frequency"):
            value = "DATE '2023-05-01'" if kind == "DATE" else "'LONG'"
            text = f"EXPLAIN (FORMAT JSON) SELECT * FROM {view} WHERE {name} = {value}"
            [plan] = json.loads(planner.execute(text).df()["explain_value"].item())
            found = [_ORIGINAL.get((view, name), name) in each for each in filters(plan, _holding(view, name))]
            (reached if found and all(found) else others).append(name)
    assert others == list(UNREACHED.get(view, ((), ""))[0])
    assert reached or view in NOT_BY_SERIES


NOT_BY_SERIES = ("equity", "forecast_costs")
"""Views in which no filter narrows what is read."""

_ORIGINAL = {("ingestion_health", "day"): "received_at"}


def _holding(view: str, column: str) -> set[str]:
    """The tables from which a view can have a column."""
    wanted = _ORIGINAL.get((view, column), column)
    return {
        found.name for found in OBJECTS.values() if not found.is_view and wanted in {c.name for c in columns(found)}
    }


def test_the_page_of_the_views_joins_each_score_with_its_forecast() -> None:
    [query] = re.findall(r"```sql\n(.+?)```", (DOCS / "views.md").read_text(), re.DOTALL)
    hours = [{"frequency": "1h", "cutoff_at": datetime(2023, 7, 3, hour, tzinfo=UTC)} for hour in (7, 8)]
    days = completed({"prices": bars("A", [100, 103, 95], last=date(2023, 7, 5)), "forecasts": both_models()})
    made, scored = (
        pd.concat([days[name].assign(**more), *(days[name].assign(**hour) for hour in hours)])
        for name, more in (("forecasts", {"cutoff_at": AT}), ("scores", {}))
    )
    found = in_duckdb(to_duckdb(query), {"forecasts": made, "scores": scored, "skill_blocks": days["skill_blocks"]})
    assert len(found) == len(scored) == 3 * 2 * 2


def filters(node: Mapping[str, Any], tables: Collection[str], above: str = "") -> Iterator[str]:
    """The conditions at each scan of some tables, and right above it."""
    told = node["extra_info"]
    if (
        told.get("Table", "").rpartition(".")[2] in tables and told.get("Projections") != "counted_through"
    ):  # of all rows
        yield f"{above} {told.get('Filters', '')}"
    inner = {"FILTER": f"{above} {told.get('Expression', '')}", "PROJECTION": above}.get(node["name"].strip(), "")
    for child in node["children"]:
        yield from filters(child, tables, inner)


def test_no_view_reads_from_views_deeper_than_three() -> None:
    def depth(name: str) -> int:
        below = [depth(other) for other in VIEWS if other != name and other in OBJECTS[name].sources]
        return 1 + max(below, default=0)

    assert max(map(depth, VIEWS)) <= 3


# ---------------------------------------------------------------- indicators


def test_indicators_are_null_while_their_window_is_not_full() -> None:
    found = in_duckdb("SELECT * FROM indicators ORDER BY session_date", {"prices": bars("A", np.arange(1.0, 61.0))})
    first = {name: int(found[name].notna().idxmax()) + 1 for name in found.columns if found[name].notna().any()}
    assert {name: first[name] for name in ("sma_5", "sma_50", "ema_12", "ema_26", "macd", "macd_signal")} == {
        "sma_5": 5, "sma_50": 50, "ema_12": 12, "ema_26": 26, "macd": 26, "macd_signal": 34,
    }  # fmt: skip
    assert {name: first[name] for name in ("rsi_14", "atr_14", "bollinger_upper", "volatility_20", "drawdown")} == {
        "rsi_14": 15, "atr_14": 15, "bollinger_upper": 20, "volatility_20": 21, "drawdown": 1,
    }  # fmt: skip


def test_windows_restart_after_a_gap_of_more_than_a_month() -> None:
    closes = np.arange(1.0, 31.0)
    prices = pd.concat(
        [bars("A", closes, last=last, object=str(last)) for last in (date(2019, 3, 1), date(2023, 7, 21))]
    )
    found = in_duckdb("SELECT * FROM indicators ORDER BY session_date", {"prices": prices})
    alone = in_duckdb("SELECT * FROM indicators ORDER BY session_date", {"prices": bars("A", closes)})
    pd.testing.assert_frame_equal(found.tail(30).reset_index(drop=True), alone)


@pytest.mark.parametrize(("days", "restarts"), [(31, False), (32, True)])
def test_a_gap_of_a_month_is_the_longest_that_windows_span(days: int, restarts: bool) -> None:
    before = bars("A", np.arange(1.0, 6.0), last=date(2023, 6, 5), object="before")
    after = bars("A", [6.0], last=date(2023, 6, 5) + timedelta(days=days))  # a Thursday or Friday
    found = in_duckdb("SELECT * FROM indicators ORDER BY session_date", {"prices": pd.concat([before, after])})
    assert pd.isna(found["sma_5"].iloc[-1]) == restarts


def test_a_constant_price_has_no_rsi_and_equals_its_means() -> None:
    [*_, last] = in_duckdb(
        "SELECT * FROM indicators ORDER BY session_date", {"prices": bars("A", [5.0] * 40)}
    ).itertuples()
    assert pd.isna(last.rsi_14)
    assert (last.ema_12, last.sma_20, last.bollinger_upper) == pytest.approx((5, 5, 5))
    assert (last.macd, last.drawdown, last.volatility_20) == pytest.approx((0, 0, 0), abs=1e-12)


def test_daily_volatility_of_coins_alone_is_of_365_days_a_year() -> None:
    closes = 100 * np.exp(np.cumsum(np.random.default_rng(1).normal(0, 0.02, 21)))
    coins = [f"BTC-{quoted}" for quoted in calendar._QUOTE_CURRENCIES.split()]
    others = ["MSFT", "BRK-B", "BAC-PL", "REI-UN.TO", "EURUSD=X", "CL=F", "^GSPC", "USD"]
    prices = pd.concat([bars(symbol, closes) for symbol in [*coins, *others]])
    query = "SELECT symbol, volatility_20 FROM indicators WHERE volatility_20 IS NOT NULL"
    found = in_duckdb(query, {"prices": prices}).set_index("symbol")["volatility_20"]
    a_session = np.diff(np.log(closes)).std(ddof=1)
    assert found.to_dict() == pytest.approx(
        {symbol: a_session * np.sqrt(365) for symbol in coins} | {symbol: a_session * np.sqrt(252) for symbol in others}
    )
    assert {symbol for symbol in found.index if calendar.calendar_name(symbol) == calendar.ALWAYS_OPEN} == {*coins}


def test_volatility_is_annual_and_drawdown_is_from_the_highest_close_so_far() -> None:
    closes = 100 * np.exp(np.cumsum(np.random.default_rng(1).normal(0, 0.02, 80)))
    found = in_duckdb("SELECT * FROM indicators ORDER BY session_date", {"prices": bars("A", closes)})
    returns = pd.Series(np.log(closes)).diff()
    np.testing.assert_allclose(found["volatility_20"], returns.rolling(20).std() * np.sqrt(252), rtol=1e-9)
    np.testing.assert_allclose(found["drawdown"], closes / np.maximum.accumulate(closes) - 1, rtol=1e-9, atol=1e-12)


def real_bars(symbols: int) -> pd.DataFrame:
    """Twenty years of stocks if they lie beside the project, else the thirteen years of the bundled sample."""
    if SHARED.exists():
        table = pd.read_parquet(SHARED).rename(columns={"date": "session_date"})
        table = table[table["symbol"].isin(sorted(table["symbol"].unique())[:symbols])]
    else:
        sample = engines.market_data("sample")
        reading = sample.fetch(list(sample.symbols()), date(2000, 1, 1), date(2013, 3, 1), advance=lambda _: None)
        table = pd.concat([one.frame.assign(symbol=symbol) for symbol, one in reading.bars.items()])
    floats = ["open", "high", "low", "close", "adj_close", "volume"]
    table = table[["symbol", "session_date", *floats]].astype(dict.fromkeys(floats, float))
    known = {"frequency": "1d", "simulated": False, "origin": "live"}
    return table.assign(**known, object="ohlc/real.csv", ingested_at=AT, **named())


def test_indicators_equal_those_of_ta_lib() -> None:
    talib = pytest.importorskip("talib")
    prices = real_bars(20)
    found = in_duckdb("SELECT * FROM indicators ORDER BY symbol, session_date", {"prices": prices})
    for symbol, ours in found.groupby("symbol"):
        bar = prices[prices["symbol"] == symbol].sort_values("session_date")
        close, high, low = (bar[name].to_numpy() for name in ("close", "high", "low"))
        upper, _, lower = talib.BBANDS(close, 20, 2, 2)
        macd, signal, histogram = talib.MACD(close)
        expected = {
            **{f"sma_{span}": talib.SMA(close, span) for span in (5, 15, 20, 50)},
            **{f"ema_{span}": talib.EMA(close, span) for span in (12, 26)},
            "rsi_14": talib.RSI(close, 14),
            "atr_14": talib.ATR(high, low, close, 14),
            "bollinger_upper": upper,
            "bollinger_lower": lower,
        }
        for name, values in expected.items():
            np.testing.assert_allclose(ours[name].astype(float), values, rtol=1e-9, err_msg=f"{symbol} {name}")
        for name, values in {"macd": macd, "macd_signal": signal, "macd_histogram": histogram}.items():
            first = 25 if name == "macd" else 33  # TA-Lib gives none of the three before the signal
            assert ours[name].isna().to_numpy()[:first].all(), f"{symbol} {name}"
            beyond = np.abs(ours[name].to_numpy(float)[33:] - values[33:]) / close[33:]
            assert (beyond < 1e-9).all(), f"{symbol} {name}"


# ---------------------------------------------------------------- scores


CUTOFF = date(2023, 7, 3)


def both_models(cutoff: date = CUTOFF, last_close: float = 100.0, symbol: str = "A", **more: Any) -> pd.DataFrame:
    made = [
        forecasts(symbol, cutoff, last_close, reach=reach, model_name=name, **more)
        for name, reach in (("lstm", 0.03), ("random-walk", 0.04))
    ]
    return pd.concat(made)


def test_positions_and_equity_worked_by_hand() -> None:
    held = of_rows("SELECT * FROM positions ORDER BY symbol").set_index("symbol")
    hours = directions.hours()["prices"]
    coin, last = hours["symbol"].iloc[0], hours[hours["symbol"] == hours["symbol"].iloc[0]]["close"].iloc[-1]
    assert held["quantity"].to_dict() == {
        coin: 6.0,
        "ONE": 3.0,
    }  # the coin was split; LONG and the other account are flat
    assert held.loc["ONE", "gain"] == 3 * 7.5 - 3 * 101 - 0.25
    assert held.loc[coin, "value"] == pytest.approx(6 * last)
    states = of_rows("SELECT * FROM equity WHERE account = 'paper://a' ORDER BY cutoff_at")
    assert states["gain"].tolist() == [0.0, 0.25, -0.25]
    assert states["drawdown"].tolist() == [0.0, 0.0, 0.4]


def test_the_gain_of_a_strategy_is_since_its_first_bar_in_the_account_whenever_that_was_recorded() -> None:
    late = {"recorded_at": datetime(2023, 8, 1, tzinfo=UTC)}
    states = [account(0) | late, account(1), account(1) | {"strategy": "other", "equity": 50.0}, account(2)]
    found = in_duckdb("SELECT * FROM equity ORDER BY strategy, cutoff_at", {"account_states": pd.DataFrame(states)})
    assert found["gain"].tolist() == [0.0, 0.25, -0.25, 0.0]
    assert found["drawdown"].tolist() == [0.0, 0.0, 0.4, 0.0]


@pytest.mark.parametrize(
    ("adopted", "later", "quantity", "gain"),
    [
        (("buy", 10.0, 15.0), [], 20.0, 20 * 20 - 20 * 15),  # a split: the venue's average price counts
        (("buy", 10.0, 0.0), [], 20.0, None),  # the venue says none
        (("buy", 10.0, 0.0), [("sell", 5.0, 18.0)], 15.0, None),
        (("buy", 10.0, 0.0), [("sell", 20.0, 18.0), ("buy", 3.0, 19.0)], 3.0, 3 * 20 - 3 * 19 - 0.5),  # closed once
        (("sell", 10.0, 0.0), [("buy", 4.0, 19.0)], 4.0, 4 * 20 - 4 * 19 - 0.5),  # it was sold by hand
        (("sell", 4.0, 30.0), [("sell", 1.0, 25.0)], 5.0, 5 * 20 - 6 * 30 + 25 - 0.5),
    ],
)
def test_the_gain_of_what_was_adopted_counts_from_the_price_that_the_venue_says(
    adopted: Any, later: Any, quantity: float, gain: float | None
) -> None:
    first = datetime(2023, 7, 3, 20, tzinfo=UTC)
    made = [("1", "one", "buy", 10.0, 30.0, 0.5), ("adopted-2", "one", *adopted, 0.0)]
    made += [(str(3 + n), "two", *each, 0.5) for n, each in enumerate(later)]  # its text was edited meanwhile
    fills = pd.DataFrame(made, columns=["fill_id", "strategy_hash", "side", "quantity", "price", "fee"])
    at = [first + timedelta(hours=n) for n in range(len(fills))]
    fills = fills.assign(
        client_id=fills["fill_id"],
        account="a",
        strategy="mine",
        frequency="1d",
        symbol="A",
        written_at=at,
        filled_at=at,
    )
    [row] = in_duckdb("SELECT * FROM positions", {"fills": fills, "prices": bars("A", [20])}).to_dict("records")
    assert (row["quantity"], row["strategy_hash"]) == (quantity, "two" if later else "one")
    assert (None if pd.isna(row["gain"]) else row["gain"]) == (
        gain if gain is None or not later else pytest.approx(gain)
    )


def test_a_correction_of_one_of_the_three_bars_of_a_fill_is_no_rebase() -> None:
    at = [datetime(2023, 7, day, 20, tzinfo=UTC) for day in (19, 20, 21)]
    prices = bars("A", [20, 20, 20]).assign(closed_at=at)
    fill = {"account": "a", "fill_id": "1", "client_id": "1", "strategy": "mine", "strategy_hash": "one"}
    fill |= {"frequency": "1d", "symbol": "A", "side": "buy", "quantity": 10.0, "price": 20.0, "fee": 0.0}
    fill |= {"written_at": at[-1], "filled_at": at[-1]}
    fill |= {"basis": 30.0, "basis_at": at[2], "basis_20": 20.0, "basis_20_at": at[1]}
    fill |= {"basis_40": 20.0, "basis_40_at": at[0]}
    [held] = in_duckdb("SELECT * FROM positions", {"fills": pd.DataFrame([fill]), "prices": prices})["quantity"]
    assert held == 10.0


def test_a_score_worked_by_hand() -> None:
    prices = bars("A", [100, 103, 95], last=date(2023, 7, 5))
    found = in_duckdb(
        "SELECT * FROM forecast_scores ORDER BY model_name, step", {"prices": prices, "forecasts": both_models()}
    )
    assert list(found["step"]) == [1, 2, 1, 2]
    one = found.iloc[0]
    move = np.log(1.03)
    assert one["actual_close"] == pytest.approx(103)
    assert one["absolute_error"] == one["walk_error"] == pytest.approx(3)
    assert one["pinball_500"] == pytest.approx(move / 2)
    assert one["pinball_900"] == pytest.approx(0.1 * (0.03 - move))  # below the quantile
    assert one["pinball_025"] == pytest.approx(0.025 * (move + 0.048))
    pinball = [0.025 * (move + 0.048), 0.1 * (move + 0.03), move / 2, 0.1 * (0.03 - move), 0.025 * (0.048 - move)]
    assert one["loss"] == pytest.approx(np.mean(pinball))
    assert one["walk_loss"] == pytest.approx(found.iloc[2]["loss"])
    assert one["scale"] == pytest.approx(0.08)
    assert bool(one["inside_80"])
    assert not bool(found.iloc[1]["inside_80"])  # 95 is 5.1% down, and the 80% interval ends at 4.2%
    assert bool(found.iloc[1]["inside_95"])


def test_a_forecast_is_scored_as_prices_arrive_and_not_before() -> None:
    tables = {"prices": bars("A", [100], last=CUTOFF), "forecasts": both_models()}
    assert in_duckdb("SELECT * FROM forecast_scores", tables).empty


def test_a_split_does_not_count_as_an_error() -> None:
    before = bars("A", [98, 100, 103], last=date(2023, 7, 4))
    after = bars("A", [9.8, 10, 10.3, 10.1], last=date(2023, 7, 5), generation=2, object="ohlc/after.csv")
    tables = {"prices": pd.concat([before, after]), "forecasts": both_models()}
    found = in_duckdb("SELECT * FROM forecast_scores WHERE model_name = 'lstm' ORDER BY step", tables)
    assert list(found["actual_close"]) == pytest.approx([103, 101])
    assert list(found["last_close"]) == [100, 100]


def test_a_forecast_that_was_made_after_its_target_is_marked() -> None:
    prices = bars("A", [100, 103], last=date(2023, 7, 4))
    late = both_models(created_at=datetime(2023, 7, 5, 1, tzinfo=UTC), object="late", symbol="A")
    found = in_duckdb("SELECT * FROM forecast_scores", {"prices": prices, "forecasts": late})
    assert list(found["backfilled"]) == [True, True]
    early = both_models(created_at=datetime(2023, 7, 4, 1, tzinfo=UTC))
    found = in_duckdb("SELECT * FROM forecast_scores", {"prices": prices, "forecasts": early})
    assert list(found["backfilled"]) == [False, False]


# ---------------------------------------------------------------- skill


def history_of(better: float, blocks: int, *, noise: float = 0.0, seed: int = 0) -> dict[str, pd.DataFrame]:
    """A forecast every third session, with intervals `better` times as wide as is right; the walk's are twice as wide.

    Args:
        better: of the model `lstm`.
        blocks: of twenty sessions.
        noise: of the logarithm of both models' widths, each with its own.
        seed: of closes and noise.
    """
    sessions = 20 * blocks + 11
    random = np.random.default_rng(seed)
    prices = [bars(name, 100 * np.exp(np.cumsum(0.02 * random.standard_normal(sessions)))) for name in ("A", "B")]
    origins = pd.concat([bar.iloc[: sessions - 11 : 3] for bar in prices])
    origins = origins.rename(columns={"session_date": "cutoff", "close": "last_close"})
    reaches = [
        origins[["symbol", "cutoff", "last_close"]].assign(
            model_name=name, reach=1.28 * 0.02 * reach * np.exp(noise * random.standard_normal(len(origins)))
        )
        for name, reach in (("lstm", better), ("random-walk", 2.0))
    ]
    return {"prices": pd.concat(prices), "forecasts": spread(pd.concat(reaches))}


def overall(tables: dict[str, pd.DataFrame]) -> Any:
    [row] = in_duckdb("SELECT * FROM forecast_skill WHERE symbol IS NULL AND step IS NULL", tables).itertuples()
    return row


def test_a_model_with_the_right_width_is_better_than_a_walk_that_is_twice_too_wide() -> None:
    row = overall(history_of(1.0, blocks=12))
    assert row.verdict == "better"
    assert row.pinball_ratio_lo < row.pinball_ratio < row.pinball_ratio_hi < 1
    assert row.coverage_80 == pytest.approx(0.8, abs=0.06)


def test_a_model_that_is_far_too_wide_is_worse_and_an_equal_one_has_no_edge() -> None:
    assert overall(history_of(5.0, blocks=12)).verdict == "worse"
    alike = overall(history_of(2.0, blocks=12))
    assert (alike.verdict, alike.pinball_ratio) == ("no edge", pytest.approx(1))


def test_a_few_weeks_are_too_early_for_a_verdict() -> None:
    row = overall(history_of(1.0, blocks=5))
    assert row.verdict == "too early"
    assert row.pinball_ratio < 1
    assert pd.isna(row.pinball_ratio_lo)


def test_the_interval_counts_half_of_the_covariance_of_neighbouring_blocks() -> None:
    tables = history_of(1.3, blocks=12)
    scores = in_duckdb("SELECT * FROM forecast_scores WHERE model_name = 'lstm'", tables)
    block = (scores["cutoff"] - pd.Timestamp("1970-01-01")).dt.days // 28
    sums = (
        pd.DataFrame({"own": scores["loss"] / scores["scale"], "walk": scores["walk_loss"] / scores["scale"]})
        .groupby(block)
        .sum()
    )
    ratio = sums["own"].sum() / sums["walk"].sum()
    u = (sums["own"] - ratio * sums["walk"]).to_numpy()
    error = np.sqrt(len(u) / (len(u) - 1) * ((u**2).sum() + (u[1:] * u[:-1]).sum())) / sums["walk"].sum()
    row = overall(tables)
    assert row.pinball_ratio == pytest.approx(ratio)
    t = {12: 2.201, 13: 2.179, 14: 2.160}[len(u)]
    assert row.pinball_ratio_hi - row.pinball_ratio == pytest.approx(t * error, rel=2e-3)


def test_of_two_models_with_one_law_neither_has_an_edge_nineteen_times_in_twenty() -> None:
    verdicts = [overall(history_of(2.0, blocks=12, noise=0.02, seed=seed)).verdict for seed in range(20)]
    assert verdicts.count("no edge") >= 18


def test_medians_that_stay_at_the_last_close_have_no_share_of_right_directions() -> None:
    tables = history_of(1.0, blocks=9)
    assert pd.isna(overall(tables).direction)
    moved = tables["forecasts"]["symbol"].eq("A") & tables["forecasts"]["model_name"].eq("lstm")
    tables["forecasts"].loc[moved, "close_median"] *= 1.001
    scores = in_duckdb("SELECT * FROM forecast_scores WHERE model_name = 'lstm' AND symbol = 'A'", tables)
    found = in_duckdb("SELECT * FROM forecast_skill WHERE step IS NULL", tables).set_index("symbol")["direction"]
    assert found["A"] == pytest.approx(scores["direction_right"].mean())
    assert 0.3 < found["A"] < 0.7
    assert pd.isna(found["B"])
    assert overall(tables).direction == found["A"]


def test_skill_is_given_by_symbol_by_step_by_both_and_overall() -> None:
    found = in_duckdb("SELECT * FROM forecast_skill", history_of(1.0, blocks=9))
    assert len(found) == 1 + 2 + 10 + 20
    assert (
        found[found["symbol"].isna() & found["step"].isna()]["n"].item()
        == found[found["symbol"].notna() & found["step"].notna()]["n"].sum()
    )
    assert set(found["model_name"]) == {"lstm"}


# ---------------------------------------------------------------- calibration


def calibration_of(width: float, blocks: int, **more: Any) -> Any:
    """The row of a symbol whose intervals are `width` times as wide as is right."""
    tables = history_of(width, blocks, **more)
    [row] = in_duckdb("SELECT * FROM calibration WHERE symbol = 'A' AND model_name = 'lstm'", tables).itertuples()
    return row


def test_intervals_that_held_seven_in_ten_over_three_years_are_too_narrow() -> None:
    row = calibration_of(0.8, blocks=39)
    assert row.coverage_80 == pytest.approx(0.69, abs=0.02)
    assert row.coverage_80_lo < row.coverage_80 < row.coverage_80_hi < 0.8
    assert (row.calibration, row.blocks) == ("too narrow", 39)
    assert row.inside_80 / row.n == row.coverage_80
    assert (row.through - row.since).days == 39 * 28 - 1


def test_intervals_that_held_nine_in_ten_are_too_wide_and_the_right_ones_as_stated() -> None:
    assert calibration_of(1.4, blocks=39).calibration == "too wide"
    assert [calibration_of(1.0, blocks=39, seed=seed).calibration for seed in range(10)].count("as stated") >= 9


def test_the_blocks_that_a_calibration_counts_are_those_that_are_looked_at_for_dates_of_training() -> None:
    tables, given = {"skill_blocks": sums_of_blocks([10] * 60, 1)}, {"frequency": "1d", "every": True, "symbols": [""]}
    [row] = in_duckdb("SELECT * FROM calibration", tables).itertuples()
    [first] = in_duckdb(to_duckdb(QUERIES["counted_blocks"]), tables, given).itertuples()
    assert row.since.date() == date(1970, 1, 1) + timedelta(days=28 * first.first_recent_block)
    assert first.first_recent_block - first.first_block == 60 - 39


def test_a_few_weeks_are_too_early_for_a_calibration() -> None:
    row = calibration_of(0.5, blocks=5)
    assert row.calibration == "too early"
    assert row.coverage_80 < 0.6
    assert pd.isna(row.coverage_80_lo)
    assert pd.isna(row.coverage_80_hi)


def test_every_close_inside_gives_no_interval_of_no_width() -> None:
    row = calibration_of(9.0, blocks=9)
    assert row.coverage_80 == row.coverage_80_hi == 1.0
    assert 0.85 < row.coverage_80_lo < 1.0


def sums_of_blocks(inside: Sequence[int], apart: int = 1) -> pd.DataFrame:
    """Rows of `skill_blocks` of a symbol: a thousand closes a block, so many of them inside the 80% interval."""
    series = {"model_name": "lstm", "model_version": "1", "role": "champion", "symbol": "A", "frequency": "1d"}
    of_each = series | {"step": 1, "month": CUTOFF, "has_scale": True, "scored_at": AT} | dict.fromkeys(SUMS, 0)
    found = [{"block": 700 + apart * number, "n": 1000, "inside_80": each} for number, each in enumerate(inside)]
    return pd.DataFrame([of_each | each for each in found])


@pytest.mark.parametrize(
    ("blocks", "inside", "told"),
    [(8, 740, "too narrow"), (8, 770, "as stated"), (8, 830, "as stated"), (8, 860, "too wide"), (7, 740, "too early")],
)
def test_a_share_near_80_percent_is_as_stated_however_narrow_its_interval(blocks: int, inside: int, told: str) -> None:
    sums = {"skill_blocks": sums_of_blocks([inside] * blocks)}
    [row] = in_duckdb("SELECT * FROM calibration", sums).itertuples()
    assert (row.calibration, row.coverage_80) == (told, inside / 1000)


@pytest.mark.parametrize("apart", [1, 2])
def test_blocks_with_a_gap_between_them_are_no_neighbours(apart: int) -> None:
    inside = [700] * 4 + [900] * 4
    [row] = in_duckdb("SELECT * FROM calibration", {"skill_blocks": sums_of_blocks(inside, apart)}).itertuples()
    error = np.sqrt(8 / 7 * 100**2 * (8 + (5 if apart == 1 else 0))) / 8000
    t, independent = 2.365, 0.8 * 0.2 / error**2
    ends = np.roots([1 + t**2 / independent, -(2 * 0.8 + t**2 / independent), 0.8**2])
    assert [row.coverage_80_lo, row.coverage_80_hi] == pytest.approx(sorted(ends), abs=2e-3)


def test_the_error_of_a_calibration_is_that_of_a_ratio_over_neighbouring_blocks() -> None:
    tables = history_of(1.1, blocks=12)
    row = in_duckdb("SELECT * FROM calibration WHERE symbol = 'A' AND model_name = 'lstm'", tables).iloc[0]
    scores = in_duckdb("SELECT * FROM forecast_scores WHERE symbol = 'A' AND model_name = 'lstm'", tables)
    days = scores["cutoff"].to_numpy().astype("datetime64[D]").astype(int)
    sums = scores.assign(block=days // 28).groupby("block")["inside_80"].agg(["sum", "size"])
    share = sums["sum"].sum() / sums["size"].sum()
    residual = (sums["sum"] - share * sums["size"]).to_numpy()
    count = len(sums)
    total = (residual**2).sum() + (residual[1:] * residual[:-1]).sum()
    error = np.sqrt(count / (count - 1) * total) / sums["size"].sum()
    independent = min(share * (1 - share) / error**2, sums["size"].sum() / 10)
    t = {12: 2.201, 13: 2.179, 14: 2.160}[count]
    # Wilson: the shares whose distance to the one seen is t of their own errors
    ends = np.roots([1 + t**2 / independent, -(2 * share + t**2 / independent), share**2])
    assert row["coverage_80"] == pytest.approx(share)
    assert [row["coverage_80_lo"], row["coverage_80_hi"]] == pytest.approx(sorted(ends), abs=1e-3)


def test_only_the_last_three_years_of_a_symbol_say_how_its_intervals_hold_now() -> None:
    tables = history_of(1.4, blocks=60)
    later = tables["forecasts"]["cutoff"] > tables["forecasts"]["cutoff"].max() - pd.Timedelta(days=39 * 28)
    found = in_duckdb(
        "SELECT * FROM calibration WHERE model_name = 'lstm'",
        tables | {"forecasts": tables["forecasts"][later]},
    )
    whole = in_duckdb("SELECT * FROM calibration WHERE model_name = 'lstm'", tables)
    assert set(whole["blocks"]) == {39}
    assert whole["n"].tolist() == pytest.approx(found["n"].tolist(), rel=0.03)


# ---------------------------------------------------------------- signals


def test_a_signal_of_an_hour_is_beside_prophets_of_the_same_hour() -> None:
    made = []
    for hour in (1, 2):
        at = pd.Timestamp(CUTOFF, tz=UTC) + pd.Timedelta(hours=hour)
        for name, role in (("har-season", "champion"), ("prophet", "companion")):
            one = forecasts("A", CUTOFF, 100.0 + hour, reach=0.03, model_name=name, role=role, object=f"{hour}")
            tilted = one.assign(close_median=one["last_close"] * np.exp(hour / 100))
            made.append(tilted.assign(frequency="1h", cutoff_at=at, target_at=at + pd.to_timedelta(one["step"], "h")))
    found = in_duckdb("SELECT * FROM signals ORDER BY cutoff_at", {"forecasts": pd.concat(made)})
    assert list(found["last_close"]) == [101, 102]
    assert list(found["prophet_return"]) == pytest.approx([0.01, 0.02])


def test_a_signal_holds_the_direction_of_its_hour_and_no_simulated_part() -> None:
    hours = pd.DatetimeIndex([f"{CUTOFF} 01:00", f"{CUTOFF} 02:00"], tz=UTC)
    made = [
        forecasts("A", CUTOFF, 100.0, reach=0.03, model_name=name, role=role).assign(
            frequency="1h", cutoff_at=at, simulated=simulated
        )
        for at in hours
        for name, role, simulated in (("lstm", "champion", False), ("prophet", "companion", True))
    ]
    stated = [
        directions.direction_rows("A", hours, [100, 100], [0.6, 0.7]),
        directions.direction_rows("A", hours[1:], [100], [0.2], "2", origin="backfill"),
        directions.direction_rows("A", hours[1:], [100], [0.3], "3", step=2),
        directions.direction_rows("A", hours[1:], [100], [0.4], "4", simulated=True),
    ]
    stated[0] = stated[0].assign(doubtful=[False, True], model_has_seen=[True, False])
    tables = {"forecasts": pd.concat(made), "directions": pd.concat(stated)}
    late = directions.direction_rows("A", hours[:1], [100], [0.1], "5", created_at=AT)
    only_late = directions.direction_rows("A", hours[1:], [100], [0.1], "5", created_at=AT)
    found = in_duckdb("SELECT * FROM signals ORDER BY cutoff_at", tables | {"directions": pd.concat([*stated, late])})
    assert list(found["prob_up"]) == [0.6, 0.7]
    assert not found["backfilled"].any()
    found = in_duckdb("SELECT * FROM signals ORDER BY cutoff_at", tables | {"directions": only_late})
    assert list(found["backfilled"]) == [False, True]
    found = in_duckdb("SELECT * FROM signals ORDER BY cutoff_at", tables)
    assert found["prophet_return"].isna().all()
    assert list(found["doubtful"]) == [False, True]
    assert list(found["model_has_seen"]) == [True, False]


def test_of_prophets_forecasts_with_one_cutoff_a_signal_is_of_the_newest_whatever_its_role() -> None:
    lstm, prophet = {"model_name": "lstm", "reach": 0.03}, {"model_name": "prophet", "reach": 0.03}
    made = [
        forecasts("A", CUTOFF, 100.0, **lstm, generation=2),
        forecasts("A", CUTOFF, 100.0, **prophet, generation=1).assign(close_median=101.0),
        forecasts("A", CUTOFF, 100.0, **prophet, generation=2, role="companion").assign(close_median=102.0),
        forecasts("A", CUTOFF, 100.0, **prophet, generation=3, role="shadow").assign(close_median=103.0),
        forecasts("A", CUTOFF, 100.0, **prophet, generation=4, role="baseline", origin="backfill"),
    ]
    [found] = in_duckdb("SELECT * FROM signals", {"forecasts": pd.concat(made)}).itertuples()
    assert (found.model_name, found.steps) == ("lstm", 10)
    assert found.prophet_return == pytest.approx(np.log(1.02))


# ---------------------------------------------------------------- the rest


def test_sums_that_were_taken_back_leave_those_of_the_scores_that_count() -> None:
    assert (rows()["skill_blocks"]["n"] < 0).any()
    summed = answers(rows() | {"skill_blocks": of_rows(to_duckdb(REWRITES["skill_blocks"]))}, OF_SUMS)
    for view in OF_SUMS:
        same(of_rows(f"SELECT * FROM {view}"), summed[view])


def test_sums_that_were_all_taken_back_are_no_rows() -> None:
    sums = completed(history_of(1.0, blocks=1))["skill_blocks"]
    both = pd.concat([sums, sums.assign(**{name: -sums[name] for name in SUMS})])
    views = ("forecast_skill", "coverage", "calibration")
    assert all(len(found) for found in answers({"skill_blocks": sums}, views).values())
    assert all(found.empty for found in answers({"skill_blocks": both}, views).values())


def test_simulated_bars_count_for_no_skill_and_no_coverage() -> None:
    tables = history_of(1.0, blocks=9)
    marked = {name: table.assign(simulated=True) for name, table in tables.items()}
    assert all(len(found) for found in answers(tables, OF_SUMS).values())
    found = answers(marked, [*OF_SUMS, "forecast_scores"])
    assert all(found[view].empty for view in OF_SUMS)
    assert found["forecast_scores"]["simulated"].all()


def test_dates_that_a_model_has_seen_count_for_no_skill_and_no_coverage() -> None:
    tables = history_of(1.0, blocks=9)
    seen = tables["forecasts"].assign(model_has_seen=tables["forecasts"]["model_name"] == "lstm")
    marked = tables | {"forecasts": seen}
    found = answers(marked, OF_SUMS)
    for view in ("forecast_skill", "coverage", "calibration"):
        assert "lstm" not in set(found[view]["model_name"])
    history = found["model_history"].set_index("model_name")
    assert (history["forecasts"] > 0).all()
    assert history["n_scored"]["lstm"] == 0 < history["n_scored"]["random-walk"]


def test_coverage_of_a_month_is_given_for_all_symbols_and_for_each() -> None:
    prices = bars("A", [100, 103, 95], last=date(2023, 7, 5))
    found = in_duckdb(
        "SELECT * FROM coverage WHERE model_name = 'lstm'", {"prices": prices, "forecasts": both_models()}
    )
    assert sorted(found["symbol"].fillna("all")) == ["A", "all"]
    assert list(found["coverage_80"]) == [0.5, 0.5]
    assert list(found["month"].dt.date) == [date(2023, 7, 1)] * 2


def test_the_histogram_holds_each_of_the_last_250_closes_once_in_twenty_bins() -> None:
    prices = pd.concat([bars("A", np.arange(1.0, 301.0)), bars("B", [5.0])])
    found = in_duckdb("SELECT * FROM price_histogram ORDER BY symbol, bin", {"prices": prices})
    ours = found[found["symbol"] == "A"]
    assert list(ours["bin"]) == list(range(20))
    assert ours["sessions"].sum() == 250
    assert (ours["close_from"].iloc[0], ours["close_to"].iloc[-1]) == pytest.approx((51, 300))
    assert list(found[found["symbol"] == "B"]["sessions"]) == [1] + [0] * 19


def test_the_histogram_of_hours_leaves_out_the_first_ones_of_a_day() -> None:
    ends = pd.date_range("2023-07-01 01:00", periods=255, freq="h", tz=UTC)
    prices = directions.price_rows("BTCUSDT", ends, np.arange(255.0, 0, -1)).sample(frac=1, random_state=1)
    found = in_duckdb("SELECT * FROM price_histogram", {"prices": prices})
    assert (found["sessions"].sum(), found["close_from"].min(), found["close_to"].max()) == (250, 1, 250)


def test_a_day_of_ingestions_is_summed_up_with_quantiles_of_its_durations() -> None:
    lines = [ledger(f"S{number}", number) for number in range(1, 21)]
    [day] = in_duckdb("SELECT * FROM ingestion_health", {"ingestions": pd.DataFrame(lines)}).itertuples()
    assert (day.duration_ms_p50, day.duration_ms_p95, day.duration_ms_max) == (100, 190, 200)
    lines.append(ledger(None, 100, status="rejected", rows=0, duration_ms=5.0))
    [day] = in_duckdb("SELECT * FROM ingestion_health", {"ingestions": pd.DataFrame(lines)}).itertuples()
    assert (day.files, day.forecast, day.rejected, day.superseded, day.bars) == (21, 20, 1, 0, 2000)
    assert (day.duration_ms_p50, day.duration_ms_p95, day.duration_ms_max) == (100, 190, 200)


def test_a_day_of_drift_counts_what_has_drifted_and_names_the_furthest() -> None:
    lines = [drift("return", 0.1), drift("volume_z", 0.5), drift("sigma", 0.3), drift("sigma", 0.9, kind="prediction")]
    found = in_duckdb("SELECT * FROM drift_daily ORDER BY kind", {"drift": pd.DataFrame(lines)})
    assert list(found["kind"]) == ["input", "prediction"]
    assert list(found["n_drifted"]) == [2, 1]
    assert list(found["furthest"]) == ["volume_z", "sigma"]


def test_a_day_without_drift_names_the_nearest_to_its_threshold_and_prefers_real_bars() -> None:
    lines = [
        drift("return", 0.1),
        drift("volume_z", 0.15),
        drift("volume_z", 0.9, simulated=True, created_at=AT + timedelta(hours=1)),
        drift("return", 0.9, created_at=AT - timedelta(hours=1)),
    ]
    [day] = in_duckdb("SELECT * FROM drift_daily", {"drift": pd.DataFrame(lines)}).itertuples()
    assert (day.n, day.n_drifted, day.furthest, day.furthest_score) == (2, 0, "volume_z", 0.15)


def test_a_model_history_counts_forecasts_and_scores_them() -> None:
    [walk, own] = [
        row
        for name in ("random-walk", "lstm")
        for row in in_duckdb("SELECT * FROM model_history", history_of(1.0, blocks=9)).itertuples()
        if row.model_name == name
    ]
    assert walk.pinball_ratio == pytest.approx(1)
    assert own.pinball_ratio < 1
    assert own.forecasts == walk.forecasts == own.n_scored / 10


@functools.cache
def remade() -> pd.DataFrame:
    """Forecasts of days and hours, some of which newer files, or another version, have replaced long after."""
    days = [date(2023, month, day) for month, first in ((4, 4), (5, 3)) for day in range(first, first + 3)]
    made = [
        forecasts(symbol, day, 100.0, reach=0.03, model_name=name, model_version=version)
        for symbol, version in (("A", "1"), ("B", "2"))
        for name in ("lstm", "random-walk")
        for day in days
    ]
    later: dict[str, Any] = {"reach": 0.02, "object": "later", "created_at": AT}
    made += [
        forecasts("A", days[0], 99.0, model_name="lstm", model_version="2", generation=2, **later),
        forecasts("A", days[4], 99.0, model_name="lstm", model_version="1", generation=2, **later),
        forecasts("B", days[1], 99.0, model_name="lstm", model_version="3", generation=2, origin="backfill", **later),
        forecasts("B", date(2023, 5, 8), 99.0, model_name="lstm", model_version="3", **later),
        forecasts("C", days[0], 99.0, model_name="lstm", simulated=True, **later),
    ]
    hours = [pd.Timestamp(day, tz=UTC) + pd.Timedelta(hours=hour) for day in days for hour in (1, 2)]
    made += [
        forecasts("H", at.date(), 1.0, reach=0.1, model_name="lstm", created_at=at).assign(frequency="1h", cutoff_at=at)
        for at in hours
    ]
    again = forecasts("H", days[0], 1.0, reach=0.1, model_name="lstm", model_version="2", generation=2, created_at=AT)
    return pd.concat([*made, again.assign(frequency="1h", cutoff_at=hours[0])])


@pytest.mark.parametrize("until", [EPOCH, datetime(2023, 4, 20, tzinfo=UTC), NEVER])
def test_a_model_history_is_that_of_the_forecasts_that_count_however_many_were_counted(until: datetime) -> None:
    made = remade()
    kept = made[~made["simulated"] & (made["step"] == 1)]
    kept = kept.assign(live=kept["origin"] == "live").sort_values(["live", "written_at", "created_at"])
    kept = kept.drop_duplicates(["symbol", "frequency", "role", "model_name", "cutoff", "cutoff_at"], keep="last")
    at, cutoff = kept.groupby(VERSION)["created_at"], kept.groupby(VERSION)["cutoff"]
    expected = pd.DataFrame(
        {
            "first_made_at": at.min(),
            "last_made_at": at.max(),
            "first_cutoff": cutoff.min(),
            "last_cutoff": cutoff.max(),
            "symbols": kept.groupby(VERSION)["symbol"].nunique(),
            "forecasts": kept.groupby(VERSION).size(),
        }
    ).reset_index()
    counted = counts(made, until)
    assert counted["forecasts"].sum() == {EPOCH: 0, NEVER: len(kept)}.get(until, 18)
    found = in_duckdb("SELECT * FROM model_history", {"forecasts": made, "forecast_counts": counted})
    assert len(found) == 7
    same(found[expected.columns], expected)


VERSION = ["model_name", "model_version", "role", "frequency"]


# ---------------------------------------------------------------- roles


def test_the_champions_forecasts_leave_out_what_is_served_beside_them() -> None:
    roles = {"lstm": "champion", "other": "companion", "random-walk": "baseline"}
    made = [forecasts("A", CUTOFF, 100.0, reach=0.03, model_name=name, role=role) for name, role in roles.items()]
    made.append(forecasts("A", CUTOFF, 100.0, reach=0.09, model_name="lstm", role="shadow", generation=2))
    found = in_duckdb("SELECT * FROM champion_forecasts ORDER BY step", {"forecasts": pd.concat(made)})
    assert list(found["step"]) == list(range(1, 11))
    assert set(found["model_name"]) == {"lstm"}
    assert set(found["generation"]) == {named()["generation"]}
    assert "role" not in found


def test_of_two_champions_with_one_cutoff_the_newer_forecast_is_kept_whole() -> None:
    older = forecasts("A", CUTOFF, 100.0, reach=0.03, model_name="lstm", generation=1)
    newer = forecasts("A", CUTOFF, 101.0, reach=0.03, model_name="better", generation=2, object="b")
    before = forecasts("A", date(2023, 6, 1), 99.0, reach=0.03, model_name="lstm", generation=3, object="c")
    for made in ([older, newer, before], [before, newer, older]):
        found = in_duckdb("SELECT * FROM champion_forecasts ORDER BY cutoff, step", {"forecasts": pd.concat(made)})
        assert list(found["last_close"]) == [99.0] * 10 + [101.0] * 10


LATE: dict[str, Any] = {"generation": 2, "object": "late", "created_at": datetime(2023, 7, 6, 12, tzinfo=UTC)}
"""A newer file of `CUTOFF`, handled once the first two closes were known."""


def late_ones() -> pd.DataFrame:
    """Forecasts that others followed after their first close, by the same model and by another champion."""
    made = [
        *(both_models(), both_models(last_close=101.0, **LATE), both_models(date(2023, 6, 1), 99.0, **LATE)),
        forecasts("A", CUTOFF, 102.0, reach=0.03, model_name="better", **LATE | {"generation": 3}),
        forecasts("A", CUTOFF, 100.0, reach=0.03, model_name="prophet", role="companion"),
        forecasts("A", CUTOFF, 105.0, reach=0.03, model_name="prophet", role="baseline", **LATE).assign(
            close_median=1.0
        ),
    ]
    return pd.concat(made)


def test_what_was_made_when_a_close_was_known_replaces_no_forecast_in_a_history_and_no_signal() -> None:
    made = {"forecasts": late_ones()}
    for query in ("forecast_history WHERE model_name = 'lstm'", "champion_forecasts"):
        found = in_duckdb(f"SELECT * FROM {query} ORDER BY cutoff, step", made)
        assert list(found["last_close"]) == [99.0] * 10 + [100.0] * 10
        assert list(found["backfilled"]) == [True] * 10 + [False] * 10
    signals = in_duckdb("SELECT * FROM signals ORDER BY cutoff", made)
    assert list(signals["last_close"]) == [99.0, 100.0]
    assert list(signals["backfilled"]) == [True, False]
    assert signals["prophet_return"][1] == 0
    newest = in_duckdb("SELECT DISTINCT last_close FROM latest_forecasts WHERE role = 'champion'", made)
    assert list(newest["last_close"]) == [102.0]
    assert set(in_duckdb("SELECT * FROM predicted_prices WHERE is_forecast", made)["model_name"]) == {"better"}


def test_of_two_champions_of_one_cutoff_the_score_of_the_record_counts_once() -> None:
    tables = {"prices": bars("A", [100, *range(101, 111)], last=date(2023, 7, 17)), "forecasts": late_ones()}
    in_time = {"generation": 4, "created_at": datetime(2023, 7, 3, 23, tzinfo=UTC)}
    newer = forecasts("A", CUTOFF, 100.0, reach=0.2, model_name="newer", **in_time)
    again = tables | {"forecasts": pd.concat([tables["forecasts"], newer])}
    given = {"frequency": "1d", "since": date(2023, 7, 1), "symbols": ["A"], "steps": 10, "origins": 5}
    days = {"first": date(2023, 7, 1), "last": date(2023, 7, 31), "earliest": date(2023, 7, 1)}
    for some, name in ((tables, "lstm"), (again, "newer")):
        scores = in_duckdb("SELECT * FROM champion_scores ORDER BY step", some)
        assert list(scores["step"]) == list(range(1, 11))
        assert list(scores["model_name"].iloc[:2]) == [name, name]
        covered = in_duckdb(to_duckdb(QUERIES["alert_coverage"]), again, given)
        assert covered.values.tolist() == [["A", pd.Timestamp(CUTOFF), 1.0]]
        ratio = 1 - (scores["loss"] / scores["scale"]).sum() / (scores["walk_loss"] / scores["scale"]).sum()
        [skill] = in_duckdb(to_duckdb(QUERIES["universe_skill"]), some, days).itertuples()
        assert skill.score == pytest.approx(ratio)
        [uncounted] = in_duckdb(to_duckdb(QUERIES["uncounted"]), some, {"frequency": "1d"}).itertuples()
        assert uncounted.n == 10


def test_the_outcome_of_a_day_is_that_of_the_newest_forecast_before_it_however_often_others_were_corrected() -> None:
    tables = {"prices": bars("A", [100, 101], last=date(2023, 7, 4)), "forecasts": late_ones()}
    in_time = {"generation": 4, "created_at": datetime(2023, 7, 3, 23, tzinfo=UTC)}
    newer = forecasts("A", CUTOFF, 100.5, reach=0.03, model_name="newer", **in_time)
    tables["forecasts"] = pd.concat([tables["forecasts"], newer])
    scores = in_duckdb("SELECT * FROM scores", tables)
    scores.loc[scores["model_name"].isin(["lstm", "better"]), "revision"] = 2
    given = {"since": date(2023, 7, 4), "until": date(2023, 7, 4), "symbols": ["A"], "steps": 10}
    [found] = in_duckdb(to_duckdb(QUERIES["outcomes"]), tables | {"scores": scores}, given).itertuples()
    assert found.last_close == 100.5


def test_a_model_whose_role_changed_between_two_forecasts_with_one_cutoff_is_shown_in_the_new_one() -> None:
    roles = {
        1: [("lstm", "champion"), ("lstm", "shadow"), ("other", "companion"), ("random-walk", "baseline")],
        2: [("lstm", "companion"), ("other", "champion"), ("random-walk", "baseline")],
    }
    older, newer = (
        [forecasts("A", CUTOFF, 1.0, reach=0.03, model_name=name, role=role, generation=file) for name, role in made]
        for file, made in roles.items()
    )
    query = "SELECT model_name, role FROM latest_forecasts WHERE step = 7 ORDER BY ALL"
    for file, made in ((1, older), (2, [*newer, *older])):
        assert in_duckdb(query, {"forecasts": pd.concat(made)}).values.tolist() == [[*one] for one in roles[file]]


def test_the_current_forecasts_are_live_and_real_and_of_one_champion_where_there_are_any() -> None:
    past: dict[str, Any] = {"origin": "backfill", "object": BACKFILL, "generation": 9}
    made = [
        forecasts("A", CUTOFF, 1.0, reach=0.03, model_name="lstm"),
        forecasts("A", CUTOFF, 2.0, reach=0.03, model_name="lstm", **past),
        forecasts("A", CUTOFF, 3.0, reach=0.03, model_name="lstm", role="companion", **past),
        forecasts("A", CUTOFF, 3.5, reach=0.03, model_name="random-walk"),
        forecasts("A", date(2023, 6, 30), 4.0, reach=0.03, model_name="random-walk", role="companion", generation=2),
        forecasts("A", date(2023, 6, 30), 4.5, reach=0.03, model_name="other", generation=2),
        forecasts("A", CUTOFF, 5.0, reach=0.03, model_name="other", simulated=True),
        forecasts("A", CUTOFF, 6.0, reach=0.03, model_name="third", role="companion", simulated=True),
    ]
    query = "SELECT model_name, role, last_close FROM latest_forecasts WHERE step = 7 ORDER BY ALL"
    found = in_duckdb(query, {"forecasts": pd.concat(made)}).values.tolist()
    assert found == [["lstm", "champion", 1.0], ["random-walk", "baseline", 3.5]]


def test_a_champions_backfill_replaces_no_live_forecast_and_simulated_ones_are_kept_apart() -> None:
    live = forecasts("A", CUTOFF, 100.0, reach=0.03, model_name="lstm")
    past = {"origin": "backfill", "object": "b", "generation": 9}
    hindsight = forecasts("A", CUTOFF, 101.0, reach=0.03, model_name="better", **past)
    earlier = forecasts("A", date(2023, 6, 1), 99.0, reach=0.03, model_name="better", **past)
    simulated = forecasts("A", CUTOFF, 7.0, reach=0.03, model_name="lstm", simulated=True, object="c", generation=10)
    made = {"forecasts": pd.concat([live, hindsight, earlier, simulated])}
    found = in_duckdb("SELECT * FROM champion_forecasts WHERE step = 1 ORDER BY cutoff, last_close DESC", made)
    assert list(found["last_close"]) == [99.0, 100.0, 7.0]
    assert list(found["origin"]) == ["backfill", "live", "live"]
    assert list(found["simulated"]) == [False, False, True]


def test_skill_coverage_and_history_tell_a_champion_from_its_shadow() -> None:
    tables = history_of(1.0, blocks=9)
    own = tables["forecasts"][tables["forecasts"]["model_name"] == "lstm"]
    shadows = own.assign(role="shadow", model_version="0", close_lo_80=1.0, close_hi_80=2.0)
    both = tables | {"forecasts": pd.concat([tables["forecasts"], shadows])}
    alone, beside = answers(tables, OF_SUMS), answers(both, OF_SUMS)
    for view in OF_SUMS:
        champion, shadow = (beside[view][beside[view]["role"] == role] for role in ("champion", "shadow"))
        same(champion, alone[view][alone[view]["role"] == "champion"])
        assert set(shadow["model_name"]) == {"lstm"}
        assert set(shadow["coverage_80"]) == {0.0}
