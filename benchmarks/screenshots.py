"""Take the screenshots in `docs/images`: the dashboard, a report and a digest, over the bundled sample.

All clocks stand at the morning after the sample's last forecast.
"""

import tempfile
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright
from tests.support import demo
from tests.support.dashboard_server import CHROMIUM, Dashboard, serving

from tickercast.app import App

IMAGES = Path(__file__).parents[1] / "docs" / "images"

NOW = demo.morning_after(demo.LAST)

SCREENSHOTS = {
    "overview": ("", 1440, 620, "light"),
    "dashboard": ("?symbol=MSFT", 1440, 900, "light"),
    "dashboard-dark": ("?symbol=MSFT&compare=AAPL&range=1Y", 1440, 1450, "dark"),
    "dashboard-phone": ("?symbol=MSFT", 390, 1100, "dark"),
    "track-record": ("?page=Track+record", 1440, 1050, "light"),
    "operations": ("?page=Operations", 1440, 1350, "light"),
}
"""The query, the width and height in pixels, and the theme of each screenshot."""


def main() -> None:
    """Fill the demonstration, serve it and take every screenshot."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        demo.fill_in_its_time(Path(folder))
        with serving(Path(folder), now=NOW) as dashboard, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            for name in SCREENSHOTS:
                _take(browser, dashboard, name)
                print(IMAGES / f"{name}.png")
            _take_pages(browser, Path(folder))
            browser.close()


def _take_pages(browser: Browser, folder: Path) -> None:
    """Take the tops of the pages that the commands `report` and `digest` write."""
    app = App(demo.settings_of(folder), now=lambda: NOW)
    holdings = folder / "holdings.csv"
    holdings.write_text("symbol,shares\nAAPL,10\nIBM,20\nMSFT,-50\n", encoding="utf-8")
    digest = app.digest(demo.SYMBOLS)
    assert digest
    pages = {
        "report": (app.stored_report(holdings=holdings), 1100, 1050),
        "digest": (app.write_digest(digest).html, 760, 900),
    }
    for name, (page, width, height) in pages.items():
        opened = browser.new_page(viewport={"width": width, "height": height})
        opened.set_content(page)
        opened.screenshot(path=IMAGES / f"{name}.png")
        opened.close()
        print(IMAGES / f"{name}.png")


def _take(browser: Browser, dashboard: Dashboard, name: str) -> None:
    query, width, height, theme = SCREENSHOTS[name]
    page = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme="dark" if theme == "dark" else "light"
    ).new_page()
    page.set_default_timeout(120_000)
    page.goto(f"{dashboard.url}/{query}")
    page.locator(".js-plotly-plot .main-svg, [data-testid=stDataFrame]").first.wait_for()
    page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for()
    page.wait_for_timeout(1500)  # until animations have ended
    page.screenshot(path=IMAGES / f"{name}.png")
    page.context.close()


if __name__ == "__main__":
    main()
