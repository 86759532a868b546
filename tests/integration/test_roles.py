"""Companions and a shadow beside the champion change no answer about the champion.

Two sites handle the same files at the same times. One serves the champion and the random walk; the other serves two
companions and a shadow, too.
"""

import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tests.support.trading import Reporter, shipped_bundle
from typer.testing import CliRunner

from tickercast import config, engines
from tickercast.app import App
from tickercast.cli import app as cli
from tickercast.domain import objects
from tickercast.domain.bars import Bars
from tickercast.domain.cards.model_card import MODEL, Pointer, ServedModel
from tickercast.domain.files.price_files import to_csv
from tickercast.domain.forecast import Role
from tickercast.jobs.operations.alerts import gather_facts
from tickercast.ports import ObjectFinalized, Warehouse
from tickercast.reading import views

REAL, SIMULATED = ("MSFT", "AAPL"), "IBM"
LAST = date(2023, 8, 18)
CUTOFFS = [LAST - timedelta(days=28 * number) for number in range(10, -1, -1)]
PAST = date(2022, 9, 2)  # of a backfill

BASELINE = ServedModel(name="random-walk", version="1", role=Role.BASELINE)
FURTHER = (
    ServedModel(name="ewma-t", version="1", role=Role.COMPANION),
    ServedModel(name="historical-simulation", version="1", role=Role.COMPANION),
    ServedModel(name=MODEL, version="1", role=Role.SHADOW),
)

BY_ROLE = ("forecast_history", "latest_forecasts", "forecast_scores", "forecast_skill", "coverage", "model_history")
BY_ROLE += ("score_revisions", "calibration")
OF_ALL = ("champion_forecasts", "predicted_prices", "latest_prices", "indicators", "price_histogram")
OF_ALL += ("ingestion_health", "drift_daily", "signals", "champion_scores")


class Site:
    """A bucket and a warehouse where the command line finds them in a working folder."""

    def __init__(self, folder: Path, served: Sequence[ServedModel]) -> None:
        self.folder = folder
        self.bucket = folder / ".tickercast" / "bucket"
        warehouse = folder / ".tickercast" / "warehouse.duckdb"
        self.now = datetime.combine(CUTOFFS[0], time(22), UTC)
        settings = config.Settings(bucket=f"file://{self.bucket}", warehouse=f"duckdb://{warehouse}")
        self.app = App(settings, now=lambda: self.now)
        self.app.__dict__["drift_reporter"] = Reporter()
        self.app.provision()
        shipped = shipped_bundle()
        wider = shipped.card.model_copy(update={"version": "2", "calibration": 1.1 * shipped.card.calibration})
        self.app.models.write(replace(shipped, card=wider))
        self.app.models.point(Pointer(name=MODEL, version="2", served=tuple(served)))

    def handle(self, name: str, at: datetime) -> None:
        """Handle the event of a file that is in the bucket."""
        self.now = at
        self.app.handle(ObjectFinalized("bucket", name, self.app.silent_store.generation(name), written_at=at))

    def finish(self) -> None:
        """Add a decision and a drift check, by a clock that is the same at both sites."""
        self.now = datetime.combine(LAST + timedelta(days=3), time(22), UTC)
        decided = {
            "day": [LAST], "kind": ["promotion"], "decision": ["promoted"], "reason": ["ratio 0.980"],
            "model_name": [MODEL], "champion_version": ["1"], "candidate_version": ["2"], "origins": [500],
            "created_at": [self.now],
        }  # fmt: skip
        self.app.tables.append("retrains", pd.DataFrame(decided), key="retrains/1")
        self.app.check_drift(REAL, LAST)


@pytest.fixture(scope="module")
def series() -> Mapping[str, Bars]:
    """Bars of three symbols; those of two pass for real ones."""
    found = engines.market_data("simulated").fetch((*REAL, SIMULATED), date(2020, 6, 1), LAST, advance=lambda _: None)
    return {symbol: replace(bars, simulated=symbol == SIMULATED) for symbol, bars in found.bars.items()}


@pytest.fixture(scope="module")
def sites(series: Mapping[str, Bars], tmp_path_factory: pytest.TempPathFactory) -> tuple[Site, Site]:
    """The site with the further models, and the one without them."""
    folder = tmp_path_factory.mktemp("roles")
    rich, plain = Site(folder / "rich", [BASELINE, *FURTHER]), Site(folder / "plain", [BASELINE])
    arrivals = _write_files(rich, series)
    for part in ("ohlc", ".generations/ohlc"):
        shutil.copytree(rich.bucket / part, plain.bucket / part)
    for site in (rich, plain):
        for name, at in arrivals:
            site.handle(name, at)
        site.finish()
    return rich, plain


def _write_files(site: Site, series: Mapping[str, Bars]) -> list[tuple[str, datetime]]:
    """Write the files to the bucket without their events; their names, and when each arrives."""
    written: list[tuple[str, datetime]] = []

    def write(name: str, data: bytes, day: date) -> None:
        site.app.silent_store.write(name, data)
        written.append((name, datetime.combine(day, time(22), UTC)))

    for day in CUTOFFS:
        known = [series[symbol].until(day) for symbol in REAL]
        write(objects.batch(day, 1), to_csv(known), day)
    for day in CUTOFFS[-2:]:
        write(objects.single(day, SIMULATED), to_csv([series[SIMULATED].until(day)]), day)
    write(objects.backfill(PAST, REAL), to_csv([series[symbol].until(PAST) for symbol in REAL]), LAST)
    write(objects.single(LAST, "META"), b"Date,Open\n2023-08-18,1\n", LAST)
    return written


def test_the_further_models_forecast_what_the_champion_forecasts_and_no_backfill(sites: tuple[Site, Site]) -> None:
    rich, plain = (site.app.tables.read("forecasts") for site in sites)
    made = rich.groupby(["model_name", "model_version", "role", "origin"]).size().to_dict()
    live = 10 * (len(REAL) * len(CUTOFFS) + 2)
    past = 10 * len(REAL)
    assert made == {
        (MODEL, "2", "champion", "live"): live,
        (MODEL, "2", "champion", "backfill"): past,
        ("random-walk", "1", "baseline", "live"): live,
        ("random-walk", "1", "baseline", "backfill"): past,
        ("ewma-t", "1", "companion", "live"): live,
        ("historical-simulation", "1", "companion", "live"): live,
        (MODEL, "1", "shadow", "live"): live,
    }
    assert set(plain["role"]) == {"champion", "baseline"}


def test_the_further_models_are_scored_too(sites: tuple[Site, Site]) -> None:
    skill = sites[0].app.tables.read("forecast_skill")
    overall = skill[skill["symbol"].isna() & skill["step"].isna()].set_index("role")
    assert overall.groupby("role").size().to_dict() == {"champion": 1, "companion": 2, "shadow": 1}
    assert set(overall.loc["companion", "n"]) == {overall.loc["shadow", "n"]}
    assert overall.loc["champion", "verdict"] != "too early"


def test_every_view_says_the_same_of_champion_and_baseline(sites: tuple[Site, Site]) -> None:
    known = {path.stem for path in (config.resource("sql") / "views").glob("*.sql")}
    known -= {name for name in known if "direction" in name}  # which are about no price
    known -= {"equity", "positions"}  # which are about no forecast
    assert known == {*BY_ROLE, *OF_ALL, "anomalies", "forecast_costs"}  # no close is one; more models cost more
    for name in BY_ROLE:
        for role in (Role.CHAMPION, Role.BASELINE):
            if (name, role) != ("forecast_skill", Role.BASELINE):  # which the others are measured against
                _assert_same(sites, lambda of, name=name, role=role: of.read(name, {"role": role}), f"{name} {role}")
    for name in OF_ALL:
        _assert_same(sites, lambda of, name=name: of.read(name), name)


def test_every_table_but_forecasts_is_the_same(sites: tuple[Site, Site]) -> None:
    for name in ("spans", "prices", "digests", "ingestions", "retrains", "drift"):
        _assert_same(sites, lambda of, name=name: of.read(name).drop(columns="bytes_loaded", errors="ignore"), name)


@pytest.mark.parametrize("symbol", [*REAL, SIMULATED])
def test_every_question_of_the_dashboard_about_a_symbol_has_the_same_answer(
    sites: tuple[Site, Site], symbol: str
) -> None:
    for ask in (views.bars, views.champion_forecasts, views.random_walk, views.histogram):
        _assert_same(sites, lambda of, ask=ask: ask(of, symbol), ask.__name__)
    _assert_same(sites, lambda of: views.champion_skill(of, symbol), "champion_skill", may_be_empty=symbol == SIMULATED)
    vintages = [views.champion_forecasts(site.app.tables, symbol) for site in sites]
    known = [views.bars(site.app.tables, symbol) for site in sites]
    joined = [views.with_actuals(*each) for each in zip(vintages, known, strict=True)]
    pd.testing.assert_frame_equal(*joined)


def test_every_question_of_the_dashboard_about_all_has_the_same_answer(sites: tuple[Site, Site]) -> None:
    assert views.symbols(sites[0].app.tables) == views.symbols(sites[1].app.tables) == sorted([*REAL, SIMULATED])
    for ask in (views.skill, views.coverage, views.models):
        _assert_same(sites, lambda of, ask=ask: _of_champion(ask(of)), ask.__name__)
    for ask in (views.health, views.not_forecast, views.freshness, views.decisions, views.drift):
        _assert_same(sites, ask, ask.__name__)


def test_the_facts_behind_alerts_are_the_same(sites: tuple[Site, Site]) -> None:
    rich, plain = (
        gather_facts(
            store=site.app.silent_store,
            models=site.app.models,
            warehouse=site.app.tables,
            now=site.now + timedelta(days=2),
            watchlist=[*REAL, SIMULATED, "META"],
            flow="",
        )
        for site in sites
    )
    assert rich == plain
    for kind in ("rejected", "drift", "coverage", "stale", "champion"):
        assert getattr(rich, kind), kind
    assert rich.coverage
    assert rich.coverage[0].origins == len(REAL) * (len(CUTOFFS) - 1)


# ---------------------------------------------------------------- the command


@pytest.fixture
def working(
    sites: tuple[Site, Site], series: Mapping[str, Bars], workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[str, str]]:
    """Run the command in a copy of each site, and return what each printed, without the generations of its files."""
    prices = workspace / "prices"
    prices.mkdir()
    for bars in series.values():
        (prices / f"{bars.symbol}.csv").write_bytes(to_csv([bars]))
    for site in sites:
        shutil.copytree(site.folder, workspace / site.folder.name)

    def run(*words: str) -> tuple[str, str]:
        return _in_both(workspace, monkeypatch, [*words, "--source", str(prices)])

    return run


def _in_both(workspace: Path, monkeypatch: pytest.MonkeyPatch, words: Sequence[str]) -> tuple[str, str]:
    printed: list[str] = []
    for name in ("rich", "plain"):
        monkeypatch.chdir(workspace / name)
        done = CliRunner().invoke(cli, ["forecast", *words])
        assert done.exit_code == 0, done.output
        printed.append(_without_generations(done.output).replace(str(workspace / name), "HERE"))
    return printed[0], printed[1]


def _without_generations(text: str) -> str:
    return re.sub(r"\b\d{16}\b", "GENERATION", text)


def test_the_json_is_the_same(working: Callable[..., tuple[str, str]]) -> None:
    rich, plain = working(*REAL, SIMULATED, str(LAST), "--json")
    assert rich == plain
    assert rich.count('"cutoff": "2023-08-18"') == 3
    assert rich.count('"simulated": true') == 1


def test_the_table_and_the_report_are_the_same(working: Callable[..., tuple[str, str]], workspace: Path) -> None:
    rich, plain = working(*REAL, str(CUTOFFS[-2]), "--actual", "--full", "--report", "page.html")
    assert rich == plain
    assert rich.count("model tickercast-lstm version 2") == len(REAL)
    assert rich.count("track record") == len(REAL)
    assert "Of the 10 closes that followed" in rich
    folders = workspace / "rich", workspace / "plain"
    pages = [_without_generations((each / "page.html").read_text()).replace(str(each), "HERE") for each in folders]
    assert pages[0] == pages[1]
    assert "tickercast-lstm version 2" in pages[0]


def test_the_overview_of_several_symbols_is_the_same(working: Callable[..., tuple[str, str]]) -> None:
    rich, plain = working(*REAL, SIMULATED, str(LAST))
    assert rich == plain
    assert "MSFT" in rich


# ---------------------------------------------------------------- comparing


def _assert_same(
    sites: tuple[Site, Site], ask: Callable[[Warehouse], pd.DataFrame], name: str, *, may_be_empty: bool = False
) -> None:
    rich, plain = (_sorted(ask(site.app.tables)) for site in sites)
    assert may_be_empty or len(rich), f"{name} is empty, and so shows nothing"
    pd.testing.assert_frame_equal(rich, plain, rtol=1e-12, obj=name)


def _sorted(rows: pd.DataFrame) -> pd.DataFrame:
    """Sort by measured numbers last, so that the last digits of sums do not change the order."""
    measured = [name for name in rows.columns if pd.api.types.is_float_dtype(rows[name])]
    keys: list[Any] = [*rows.columns.difference([*measured, "quantiles"], sort=False), *measured]
    return rows.sort_values(keys, ignore_index=True)


def _of_champion(found: pd.DataFrame) -> pd.DataFrame:
    return found[found["role"].isin([Role.CHAMPION, Role.BASELINE])]
