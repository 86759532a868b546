"""Time the dashboard in a browser over 500 symbols × 20 years and a million forecasts.

The first chart is timed from an empty browser, from opening the page's address until the candles are drawn; a change of
symbol from the key press that selects it until other candles are drawn. The heavy pages read or score every forecast
when they are first opened, and cache the result for one minute, or for five.
"""

import statistics
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright
from tests.support.dashboard_server import CHROMIUM, Dashboard, serving

from benchmarks import report
from benchmarks.bench_warehouse import CUTOFFS, SESSIONS, SYMBOLS, filled

RUNS = 5
_CANDLES = "() => [...document.querySelectorAll('.boxlayer path.box')].map(box => box.getAttribute('d')).join('')"


def main() -> None:
    """Fill a warehouse, open its pages, and write `dashboard.json`."""
    with tempfile.TemporaryDirectory() as folder:
        filled(Path(folder) / "warehouse.duckdb", SYMBOLS)
        with serving(Path(folder)) as dashboard, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            figures = {
                "symbols": SYMBOLS,
                "sessions": SESSIONS,
                "forecasts_rows": SYMBOLS * CUTOFFS * 20,
                "first_chart_of_a_new_server_s": _first_chart(browser, dashboard),
                "first_chart_s": statistics.median(_first_chart(browser, dashboard) for _ in range(RUNS)),
                "change_of_symbol_s": _change_of_symbol(browser, dashboard),
                "overview_first_s": _opened(browser, dashboard, "Overview"),
                "overview_s": _opened(browser, dashboard, "Overview"),
                "track_record_first_s": _opened(browser, dashboard, "Track record"),
                "track_record_s": _opened(browser, dashboard, "Track record"),
                "operations_s": _opened(browser, dashboard, "Operations"),
            }
            browser.close()
    report.write("dashboard", figures)


def _first_chart(browser: Browser, dashboard: Dashboard) -> float:
    page = _page(browser)
    started = time.perf_counter()
    page.goto(f"{dashboard.url}/?symbol=S7")
    page.wait_for_function(f"({_CANDLES})() !== ''")
    elapsed = time.perf_counter() - started
    page.context.close()
    return elapsed


def _change_of_symbol(browser: Browser, dashboard: Dashboard) -> float:
    page = _page(browser)
    page.goto(f"{dashboard.url}/?symbol=S7")
    page.wait_for_function(f"({_CANDLES})() !== ''")
    _settle(page)
    elapsed = statistics.median(_change(page, f"S{number}") for number in range(100, 100 + RUNS))
    page.context.close()
    return elapsed


def _change(page: Page, symbol: str) -> float:
    before = page.evaluate(_CANDLES)
    page.get_by_role("combobox", name="Symbol").focus()
    page.keyboard.type(symbol)
    page.get_by_role("option", name=symbol, exact=True).wait_for()
    started = time.perf_counter()
    page.keyboard.press("Enter")
    page.wait_for_function(f"before => ![before, ''].includes(({_CANDLES})())", arg=before)
    elapsed = time.perf_counter() - started
    _settle(page)
    return elapsed


def _opened(browser: Browser, dashboard: Dashboard, name: str) -> float:
    page = _page(browser)
    started = time.perf_counter()
    page.goto(f"{dashboard.url}/?page={name.replace(' ', '+')}")
    page.locator(".js-plotly-plot .main-svg, [data-testid=stDataFrame]").first.wait_for()
    _settle(page)
    elapsed = time.perf_counter() - started
    page.context.close()
    return elapsed


def _page(browser: Browser) -> Page:
    page = browser.new_context().new_page()
    page.set_default_timeout(120_000)
    return page


def _settle(page: Page) -> None:
    page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for()


if __name__ == "__main__":
    main()
