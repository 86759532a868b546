"""The dashboard as people see it: a browser, the real server, and the bundled sample behind it."""

import functools
import hashlib
import io
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pandas as pd
import pytest
from benchmarks.bench_warehouse import filled
from tests.support import demo
from tests.support.dashboard_server import CHROMIUM, Dashboard, serving
from tests.support.place import Champion, RandomWalk

from tickercast import engines
from tickercast.backends.warehouse.duckdb import DuckDBWarehouse
from tickercast.config import resource
from tickercast.domain.bars import Bars
from tickercast.domain.files.price_files import to_csv
from tickercast.domain.forecast import LEVELS, Role, Served
from tickercast.jobs.serving.handle_event import handle_event
from tickercast.jobs.serving.past_models import Lineup
from tickercast.ports import ObjectFinalized, Warehouse
from tickercast.show import sentences

pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason=f"{CHROMIUM} is not installed")

PAGES = ("Overview", "Forecast", "Portfolio", "Strategies", "Track record", "Operations")
WIDTHS = (390, 1024, 1440)
EVENTS, LOOKS = 40, 6
FITS = "document.documentElement.scrollWidth <= window.innerWidth"
CUT = """[...document.querySelectorAll('.stMetric *, .st-key-headline *, .stButtonGroup *, .stMarkdownBadge')]
    .filter(one => one.scrollWidth > one.clientWidth + 1 && getComputedStyle(one).overflowX !== 'visible')
    .map(one => one.textContent)"""
"""The texts and choices that their place is too narrow for, those that a hidden scrollbar would reach included."""
PATIENCE_MS = 60_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("demo")
    demo.fill(made)
    return made


@pytest.fixture(scope="module")
def dashboard(folder: Path) -> Iterator[Dashboard]:
    with serving(folder) as made:
        yield made


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    made = tmp_path_factory.mktemp("many")
    filled(made / "warehouse.duckdb", 500, sessions=300, cutoffs=4)
    with serving(made) as served:
        yield served


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """The browser, which loads Streamlit's scripts once for all windows."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched.new_context()
        launched.close()


class Look:
    """A page in the browser, with its errors and its requests to other servers."""

    def __init__(self, page: Any, dashboard: Dashboard) -> None:
        self.page = page
        self.faults: list[str] = []
        self._dashboard = dashboard
        page.set_default_timeout(PATIENCE_MS)
        page.on("console", lambda said: said.type == "error" and self.faults.append(said.text))
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("request", self._asked)

    def open(self, name: str = "Forecast", **more: str) -> Any:
        self.page.goto(f"{self._dashboard.url}/?{urlencode({'page': name} | more)}")
        self.wait_for(name)
        return self.page

    def turn_to(self, name: str) -> None:
        """Choose another page."""
        self.page.get_by_role("radio", name=name).click()
        self.wait_for(name)

    def wait_for(self, heading: str) -> None:
        """Wait until a page, by its name, or the forecast of a symbol is drawn."""
        self.page.get_by_role("heading", name=heading, level=1 if heading in PAGES else 2).wait_for()
        self.settle()

    def settle(self) -> None:
        """Wait until the page is drawn."""
        self.page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for()
        self.page.locator(".js-plotly-plot .main-svg, [data-testid=stDataFrame]").first.wait_for()
        self.page.wait_for_function("!document.querySelector('[data-stale=true]')")

    def pick(self, symbol: str) -> None:
        """Pick a symbol with the keyboard."""
        box = self.page.get_by_role("combobox", name="Symbol")
        box.focus()
        self.page.keyboard.type(symbol)
        self.page.get_by_role("option", name=symbol, exact=True).wait_for()
        self.page.keyboard.press("Enter")
        self.wait_for(symbol)

    def _asked(self, request: Any) -> None:
        if not request.url.startswith((self._dashboard.url, "data:", "blob:")):
            self.faults.append(f"asked {request.url}")


@pytest.fixture
def look(browser: Any, dashboard: Dashboard) -> Iterator[Callable[..., Look]]:
    """Opens a window of the browser; afterwards no page may have a fault."""
    looks: list[Look] = []

    def opened(width: int = 1440, theme: str = "light", height: int = 1000, dashboard: Dashboard = dashboard) -> Look:
        page = browser.new_page()
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme=theme)
        looks.append(Look(page, dashboard))
        return looks[-1]

    yield opened
    for made in looks:
        made.page.close()
    assert [fault for made in looks for fault in made.faults] == []


def rows_of(page: Any, label: str) -> list[list[str]]:
    region = page.get_by_role("region", name=label)
    return [row.locator("td").all_inner_texts() for row in region.locator("tbody tr").all()]


def metric(page: Any, label: str) -> str:
    card = page.get_by_test_id("stMetric").filter(has_text=label)
    return str(card.get_by_test_id("stMetricValue").inner_text())


def test_the_numbers_on_the_page_and_in_its_download_are_those_of_the_views(
    look: Callable[..., Look], folder: Path
) -> None:
    warehouse = engines.warehouse(demo.settings_of(folder))
    stored = warehouse.read("predicted_prices", {"symbol": "MSFT"}).sort_values("date")
    made, known = stored[stored["is_forecast"]], stored[~stored["is_forecast"]].iloc[-1]
    before = hashlib.sha256((folder / "warehouse.duckdb").read_bytes()).hexdigest()
    seen = look()
    page = seen.open()
    seen.pick("MSFT")

    assert [row[:2] + row[3:] for row in rows_of(page, "The forecast, one row a session")] == [
        [
            f"{row['date']:%a %Y-%m-%d}",
            f"{row['close_median']:,.2f}",
            sentences.interval(row["close_lo_80"], row["close_hi_80"]),
            sentences.interval(row["close_lo_95"], row["close_hi_95"]),
        ]
        for row in made.to_dict("records")
    ]
    assert metric(page, "Last close") == f"{known['close']:,.2f}"
    assert metric(page, "RSI-14") == f"{known['rsi_14']:.1f}"
    assert metric(page, "MACD") == f"{known['macd']:+.3g}"
    assert metric(page, "Volatility") == f"{known['volatility_20']:.1%}"
    assert metric(page, "Drawdown") == f"{known['drawdown']:.1%}"
    skill = warehouse.read("forecast_skill", {"symbol": "MSFT"})
    [row] = skill[skill["step"].isna()].to_dict("records")
    assert page.get_by_text(sentences.verdict(row)).is_visible()

    with page.expect_download() as download:
        page.get_by_role("button", name="Download as CSV").click()
    csv = pd.read_csv(io.BytesIO(Path(download.value.path()).read_bytes()))
    assert download.value.suggested_filename == "MSFT-2012-12-14.csv"
    assert csv["target_date"].tolist() == [f"{day:%Y-%m-%d}" for day in made["date"]]
    pd.testing.assert_frame_equal(csv[list(LEVELS)], made[list(LEVELS)].reset_index(drop=True), rtol=1e-12)
    assert hashlib.sha256((folder / "warehouse.duckdb").read_bytes()).hexdigest() == before, "it only reads"


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_every_page_fits_is_accessible_and_asks_no_other_server(
    look: Callable[..., Look], name: str, theme: str
) -> None:
    seen = look(WIDTHS[0], theme)
    page = seen.open(name)
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 1000})
        seen.settle()
        page.wait_for_function(FITS)
        assert page.evaluate(CUT) == []
        assert violations(page) == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_what_opens_is_accessible(look: Callable[..., Look], theme: str) -> None:
    page = look(390, theme).open(symbol="MSFT")
    for button in (page.get_by_role("button", name="Options"), page.get_by_role("button", name="open alert")):
        button.click()
        page.get_by_test_id("stPopoverBody").wait_for()
        assert violations(page) == []
        page.keyboard.press("Escape")
        page.get_by_test_id("stPopoverBody").wait_for(state="detached")


def violations(page: Any) -> list[tuple[str, list[str]]]:
    """The serious and critical faults that axe-core finds on a page."""
    from axe_playwright_python.sync_playwright import Axe

    return [
        (fault["id"], [node["html"] + node["failureSummary"] for node in fault["nodes"]])
        for fault in Axe().run(page).response["violations"]
        if fault["impact"] in ("serious", "critical")
    ]


def test_an_earlier_forecast_is_shown_with_the_closes_that_followed(look: Callable[..., Look]) -> None:
    seen = look()
    page = seen.open(symbol="IBM")
    page.get_by_role("button", name="Options").click()
    page.get_by_role("combobox", name="Forecast made from").focus()
    page.keyboard.type("2012-11-16")
    page.keyboard.press("Enter")
    page.get_by_text("Forecast from 2012-11-16 for the 10 sessions up to 2012-12-03").wait_for()
    seen.settle()
    rows = rows_of(page, "The forecast, one row a session")
    assert [row[0] for row in rows][:2] == ["Mon 2012-11-19", "Tue 2012-11-20"]
    assert all(float(row[5]) > 0 for row in rows)
    inside = [row[6] for row in rows]
    counted = f"Of the 10 closes that followed, {inside.count('80%')} "
    assert page.get_by_text(counted).first.is_visible()


def test_ranges_overlays_and_panels_change_the_picture(look: Callable[..., Look]) -> None:
    seen = look()
    page = seen.open(symbol="MSFT")
    page.get_by_role("radio", name="All").click()
    page.get_by_role("button", name="Options").click()
    page.get_by_role("button", name="Bollinger").click()
    page.locator(".js-plotly-plot", has_text="Bollinger").wait_for()
    page.get_by_role("button", name="Volume", exact=True).click()
    page.wait_for_function("!document.querySelector('.js-plotly-plot').textContent.includes('Volume')")
    page.get_by_role("button", name="MACD", exact=True).click()
    page.locator(".js-plotly-plot", has_text="MACD").first.wait_for()
    seen.settle()


def test_back_and_forward_go_through_symbols_ranges_and_pages(look: Callable[..., Look]) -> None:
    seen = look()
    page = seen.open(symbol="ibm")
    page.get_by_role("heading", name="IBM", level=2).wait_for()
    seen.pick("GOOG")
    page.get_by_role("radio", name="1Y").click()
    seen.settle()
    seen.turn_to("Operations")
    page.go_back()
    seen.wait_for("GOOG")
    assert page.get_by_role("radio", name="1Y").is_checked()
    page.go_back()
    seen.settle()
    page.wait_for_function("!location.search.includes('range')")
    page.go_back()
    seen.wait_for("IBM")
    page.go_forward()
    seen.wait_for("GOOG")


def test_the_first_choice_after_a_restart_of_the_server_counts(look: Callable[..., Look], folder: Path) -> None:
    state = "[data-testid=stApp][data-test-connection-state=CONNECTED]"
    with serving(folder) as before:
        seen = look(dashboard=before)
        page = seen.open(symbol="GOOG", range="6M")
    page.wait_for_function(f"!document.querySelector('{state}')")
    with serving(folder, port=before.port):
        page.locator(state).wait_for()
        seen.settle()
        seen.turn_to("Overview")
        page.go_back()
        seen.wait_for("GOOG")
        assert page.get_by_role("radio", name="6M").is_checked()
        page.close()  # before it looks for this server in vain, too
    seen.faults.clear()  # of the connection that was lost


def test_the_chart_is_above_the_fold_and_says_in_words_where_the_close_may_lie(look: Callable[..., Look]) -> None:
    seen = look(height=900)
    page = seen.open(symbol="MSFT")
    chart = page.locator(".js-plotly-plot").first.bounding_box()
    assert chart["y"] + chart["height"] <= 900
    page.mouse.move(chart["x"] + chart["width"] * 0.88, chart["y"] + chart["height"] * 0.45)
    said = page.locator(".hoverlayer", has_text="Close on")
    said.wait_for()
    assert "80% between" in str(said.text_content())


def test_on_a_phone_the_chart_comes_before_its_controls(look: Callable[..., Look]) -> None:
    page = look(390).open(symbol="MSFT")
    chart = page.locator(".js-plotly-plot").first.bounding_box()
    assert chart["y"] < 450
    for control in (page.get_by_role("radio", name="1Y"), page.get_by_role("button", name="Options")):
        assert control.bounding_box()["y"] > chart["y"] + chart["height"]


def test_the_overview_holds_the_numbers_of_the_views_and_opens_a_symbol(
    look: Callable[..., Look], folder: Path
) -> None:
    warehouse = engines.warehouse(demo.settings_of(folder))
    seen = look()
    page = seen.open("Overview")
    csv = downloaded(page)
    assert csv["symbol"].tolist() == sorted([*demo.SYMBOLS, demo.SIMULATED])
    check(csv, warehouse)
    assert set(csv["state"]) == {"expired"}
    assert page.get_by_text("0 of 5 forecasts fresh: 5 expired").is_visible()
    page.get_by_label("Find").fill("goo")
    page.keyboard.press("Enter")
    page.get_by_text("1 of 5 symbols.").wait_for()
    seen.settle()
    table = page.get_by_test_id("stDataFrame").bounding_box()
    page.mouse.click(table["x"] + 40, table["y"] + 55)
    seen.wait_for("GOOG")
    page.go_back()
    page.get_by_text("1 of 5 symbols.").wait_for()
    seen.settle()


def test_the_overview_of_five_hundred_symbols_holds_the_numbers_of_the_views(
    look: Callable[..., Look], many: Dashboard
) -> None:
    seen = look(dashboard=many)
    page = seen.open("Overview")
    csv = downloaded(page)
    assert len(csv) == 500
    check(csv, DuckDBWarehouse(many.log.parent / "warehouse.duckdb", resource("sql")))


def downloaded(page: Any) -> pd.DataFrame:
    with page.expect_download() as download:
        page.get_by_role("button", name="Download as CSV", exact=True).click()
    return pd.read_csv(io.BytesIO(Path(download.value.path()).read_bytes()))


def check(overview: pd.DataFrame, warehouse: Warehouse) -> None:
    """Compare an overview with the views, symbol by symbol."""
    made = warehouse.read("latest_forecasts", {"role": "champion"})
    last = made.sort_values("step").drop_duplicates("symbol", keep="last").set_index("symbol")
    skill = warehouse.read("forecast_skill", {"role": "champion"})
    held = skill[skill["step"].isna() & skill["symbol"].notna()].set_index("symbol")
    found = overview.set_index("symbol")
    for name in ("last_close", "close_median", "close_lo_80", "close_hi_80"):
        pd.testing.assert_series_equal(found[name], last[name].loc[found.index], check_names=False, rtol=1e-9)
    counted = found[found["n"] > 0]
    assert counted["n"].tolist() == held.loc[counted.index, "n"].tolist()
    assert counted["verdict"].tolist() == held.loc[counted.index, "verdict"].tolist()
    assert counted["coverage_80"].tolist() == pytest.approx(held.loc[counted.index, "coverage_80"].tolist())
    prices = warehouse.read("latest_prices", {"frequency": "1d"}).sort_values("session_date")
    known = prices[prices["session_date"] <= prices["symbol"].map(last["cutoff"])]
    day = known.groupby("symbol")["close"].apply(lambda close: close.iloc[-1] / close.iloc[-2] - 1)
    assert found["change"].tolist() == pytest.approx(day.loc[found.index].tolist())


def test_choices_survive_a_visit_to_another_page(look: Callable[..., Look]) -> None:
    seen = look()
    page = seen.open(symbol="GOOG")
    page.get_by_role("radio", name="1Y").click()
    seen.settle()
    for name in ("Operations", "Overview", "Forecast"):
        seen.turn_to(name)
    assert page.get_by_role("heading", name="GOOG", level=2).is_visible()
    assert page.get_by_role("radio", name="1Y").is_checked()


def test_an_address_that_the_page_quotes_is_text(look: Callable[..., Look]) -> None:
    links = ("www.evil.example/login", "https://evil.example", "sign-in@evil.example")
    page = look().open("Forecast", symbol="MSFT", cutoff=links[0], compare=links[1], range=links[2])
    said = " ".join(page.get_by_role("alert").all_inner_texts()).replace("\N{WORD JOINER}", "")
    assert [link for link in links if f"={link}." not in said] == []
    assert page.locator("a[href*=evil]").count() == 0


def test_simulated_bars_are_marked(look: Callable[..., Look]) -> None:
    assert look().open(symbol=demo.SIMULATED).get_by_text("SIMULATED").is_visible()


def test_the_record_states_the_missing_edge_and_what_the_model_was_trained_on(look: Callable[..., Look]) -> None:
    page = look().open("Track record")
    assert page.get_by_role("heading", name="No edge over the random walk").is_visible()
    assert page.get_by_text("was trained on dates up to 2018-12-31").is_visible()
    assert rows_of(page, "Models, the best first")[-1][0] == "random-walk"


def test_operations_gives_reasons_decisions_and_the_drift_report_at_one_click(look: Callable[..., Look]) -> None:
    page = look().open("Operations")
    assert page.get_by_text("The file has no column High, Low, Close").is_visible()
    assert [row[2] for row in rows_of(page, "Decisions, the newest first")] == ["kept", "kept"]
    page.get_by_role("button", name="Show it here").click()
    page.frame_locator("iframe").get_by_role("heading", name="Drift of 2012-12-14").wait_for()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download it").click()
    assert b"Drift of 2012-12-14" in Path(download.value.path()).read_bytes()


def test_the_page_keeps_answering_while_events_are_written(
    look: Callable[..., Look], folder: Path, dashboard: Dashboard, make_bars: Callable[..., Bars]
) -> None:
    settings = demo.settings_of(folder)
    store, warehouse = engines.object_store(settings, announce=False), engines.warehouse(settings)
    served = [Served(Champion(), Role.CHAMPION), Served(RandomWalk(), Role.BASELINE)]
    answer = functools.partial(
        handle_event,
        store=store,
        warehouse=warehouse,
        served=lambda _: served,
        past=lambda _, cutoff: Lineup(served),
        now=lambda: datetime.now(UTC),
    )
    bars = to_csv([make_bars("STORM", sessions=110)])
    failures: list[BaseException] = []
    seen_enough = threading.Event()
    written = 0

    def write() -> None:
        nonlocal written
        try:
            while written < EVENTS or not seen_enough.is_set():
                name = "ohlc/2023-07-22/STORM.csv"
                answer(ObjectFinalized(store.bucket, name, store.write(name, bars), len(bars)))
                written += 1
        except BaseException as error:
            failures.append(error)

    seen = look()
    page = seen.open()
    storm = threading.Thread(target=write)
    storm.start()
    try:
        for looked in range(LOOKS):
            page.get_by_role("button", name="Refresh").click()
            seen.pick(demo.SYMBOLS[looked % len(demo.SYMBOLS)])
            troubles = page.get_by_test_id("stAlert").filter(has_not_text="was trained on dates up to")
            assert troubles.all_inner_texts() == []
    finally:
        seen_enough.set()
        storm.join()
    assert failures == []
    ledger = warehouse.read("ingestions", {"symbol": "STORM"})
    assert (ledger["status"] == "forecast").sum() == written
    page.get_by_role("button", name="Refresh").click()
    seen.settle()
    seen.pick("STORM")
    said = [line for line in dashboard.log.read_text().splitlines() if "; waiting for it, up to" not in line]
    assert len(said) == 1, "the server has nothing to say but where it is, and what it waits for"
