"""Take the screenshots in `docs/images` from the dashboard, over the bundled sample."""

import tempfile
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright
from tests.support import demo
from tests.support.dashboard_server import CHROMIUM, Dashboard, serving

IMAGES = Path(__file__).parents[1] / "docs" / "images"

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
        demo.fill(Path(folder))
        with serving(Path(folder)) as dashboard, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            for name in SCREENSHOTS:
                _take(browser, dashboard, name)
                print(IMAGES / f"{name}.png")
            browser.close()


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
