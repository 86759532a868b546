"""The dashboard as people see it: a browser, the real server, and the bundled sample behind it."""

import functools
import hashlib
import io
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tests.support import demo
from tests.support.dashboard_server import CHROMIUM, Dashboard, serving
from tests.support.place import Champion, RandomWalk

from tickercast import engines
from tickercast.domain.bars import Bars
from tickercast.domain.forecast import LEVELS, Role, Served
from tickercast.domain.price_files import to_csv
from tickercast.jobs.serving.handle_event import handle_event
from tickercast.jobs.serving.past_models import Lineup
from tickercast.ports import ObjectFinalized
from tickercast.show import sentences

pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason=f"{CHROMIUM} is not installed")

PAGES = ("Forecast", "Portfolio", "Strategies", "Track record", "Operations")
EVENTS = 200
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
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
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
        self.page.goto(f"{self._dashboard.url}/?" + "&".join(f"{key}={value}" for key, value in more.items()))
        if name != "Forecast":
            self.page.get_by_role("radio", name=name).click()
        self.page.get_by_role("heading", name=name, level=1).wait_for()
        self.settle()
        return self.page

    def settle(self) -> None:
        """Wait until the page is drawn."""
        self.page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for()
        self.page.locator(".js-plotly-plot .main-svg").first.wait_for()
        self.page.wait_for_function("!document.querySelector('[data-stale=true]')")

    def pick(self, symbol: str) -> None:
        """Pick a symbol with the keyboard."""
        box = self.page.get_by_role("combobox", name="Symbol")
        box.focus()
        self.page.keyboard.type(symbol)
        self.page.get_by_role("option", name=symbol, exact=True).wait_for()
        self.page.keyboard.press("Enter")
        self.page.get_by_role("heading", name=symbol, level=2).wait_for()
        self.settle()

    def _asked(self, request: Any) -> None:
        if not request.url.startswith((self._dashboard.url, "data:", "blob:")):
            self.faults.append(f"asked {request.url}")


@pytest.fixture
def look(browser: Any, dashboard: Dashboard) -> Iterator[Callable[..., Look]]:
    """Opens a window of the browser; afterwards no page may have a fault."""
    contexts, looks = [], []

    def opened(width: int = 1440, theme: str = "light") -> Look:
        context = browser.new_context(viewport={"width": width, "height": 1000}, color_scheme=theme)
        contexts.append(context)
        looks.append(Look(context.new_page(), dashboard))
        return looks[-1]

    yield opened
    for context in contexts:
        context.close()
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
@pytest.mark.parametrize("width", [390, 1440])
def test_every_page_fits_is_accessible_and_asks_no_other_server(
    look: Callable[..., Look], width: int, theme: str, tmp_path: Path
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    for name in PAGES:
        seen = look(width, theme)
        page = seen.open(name)
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        found = Axe().run(page).response["violations"]
        assert [
            (fault["id"], [node["html"] + node["failureSummary"] for node in fault["nodes"]])
            for fault in found
            if fault["impact"] in ("serious", "critical")
        ] == []
        page.screenshot(path=tmp_path / f"{name}-{width}-{theme}.png")


def test_an_earlier_forecast_is_shown_with_the_closes_that_followed(look: Callable[..., Look]) -> None:
    seen = look()
    page = seen.open(symbol="IBM")
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
    page.get_by_role("button", name="Bollinger").click()
    page.get_by_role("button", name="RSI", exact=True).click()
    page.locator(".js-plotly-plot", has_text="Bollinger").wait_for()
    page.wait_for_function("!document.querySelector('.js-plotly-plot').textContent.includes('RSI')")
    seen.settle()
    assert page.locator(".js-plotly-plot").first.get_by_text("MACD").is_visible()


def test_choices_survive_a_visit_to_another_page(look: Callable[..., Look]) -> None:
    seen = look()
    page = seen.open(symbol="GOOG")
    page.get_by_role("radio", name="1Y").click()
    seen.settle()
    for name in ("Operations", "Forecast"):
        page.get_by_role("radio", name=name).click()
        page.get_by_role("heading", name=name, level=1).wait_for()
        seen.settle()
    assert page.get_by_role("heading", name="GOOG", level=2).is_visible()
    assert page.get_by_role("radio", name="1Y").is_checked()


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
    assert [row[1] for row in rows_of(page, "Decisions, the newest first")] == ["promoted", "kept"]
    page.get_by_role("button", name="Show it here").click()
    page.frame_locator("iframe").get_by_role("heading", name="Drift of 2012-12-14").wait_for()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download it").click()
    assert b"Drift of 2012-12-14" in Path(download.value.path()).read_bytes()


def test_the_page_keeps_answering_while_two_hundred_events_are_written(
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

    def write() -> None:
        try:
            for _ in range(EVENTS):
                name = "ohlc/2023-07-22/STORM.csv"
                answer(ObjectFinalized(store.bucket, name, store.write(name, bars), len(bars)))
        except BaseException as error:
            failures.append(error)

    seen = look()
    page = seen.open()
    storm = threading.Thread(target=write)
    storm.start()
    looked = 0
    while storm.is_alive():
        page.get_by_role("button", name="Refresh").click()
        seen.pick(demo.SYMBOLS[looked % len(demo.SYMBOLS)])
        assert page.get_by_test_id("stAlert").count() == 0
        looked += 1
    storm.join()
    assert failures == []
    assert looked >= 3
    ledger = warehouse.read("ingestions", {"symbol": "STORM"})
    assert (ledger["status"] == "forecast").sum() == EVENTS
    page.get_by_role("button", name="Refresh").click()
    seen.settle()
    seen.pick("STORM")
    said = [line for line in dashboard.log.read_text().splitlines() if "; waiting for it, up to" not in line]
    assert len(said) == 1, "the server has nothing to say but where it is, and what it waits for"
