"""Takes the pictures in `docs/images` from the dashboard itself, over the bundled sample."""

import tempfile
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright
from tests.support import demo
from tests.support.dashboard_server import CHROMIUM, Dashboard, serving

IMAGES = Path(__file__).parents[1] / "docs" / "images"

PICTURES = {
    "dashboard": ("?symbol=MSFT", 1440, 1450, "light"),
    "dashboard-dark": ("?symbol=MSFT", 1440, 1450, "dark"),
    "dashboard-phone": ("?symbol=MSFT", 390, 1500, "dark"),
    "track-record": ("?page=Track+record", 1440, 1050, "light"),
    "operations": ("?page=Operations", 1440, 1350, "light"),
}
"""By name: what is opened, width and height in pixels, and the theme."""


def main() -> None:
    """Makes the demonstration, serves it and takes every picture."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        demo.fill(Path(folder))
        with serving(Path(folder)) as dashboard, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            for name in PICTURES:
                _take(browser, dashboard, name)
                print(IMAGES / f"{name}.png")
            browser.close()


def _take(browser: Browser, dashboard: Dashboard, name: str) -> None:
    query, width, height, theme = PICTURES[name]
    page = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme="dark" if theme == "dark" else "light"
    ).new_page()
    page.set_default_timeout(120_000)
    page.goto(f"{dashboard.url}/{query}")
    page.locator(".js-plotly-plot .main-svg").first.wait_for()
    page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for()
    page.wait_for_timeout(1500)  # what moves into place has done so
    page.screenshot(path=IMAGES / f"{name}.png")
    page.context.close()


if __name__ == "__main__":
    main()
