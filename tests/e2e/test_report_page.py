"""Reports in a browser: they request nothing, nothing overflows, and axe-core finds no fault."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest
from tests.support.told import backtest_of_two, outlook_of_two, overview_row, told, told_hours

from tickercast.domain.learning.width import Width
from tickercast.domain.measures.calibration import Calibration
from tickercast.show import report, strategies

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed")
FIRST = told().made.steps[0].target_date


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "report.html"
    details = [told(actual={FIRST: 107.0}), told("ETH-USD", simulated=True, record=None), told("IBM", sessions=0)]
    details += [told_hours(price=26135.9)]
    dear = dict.fromkeys(("last_close", "close_median", "close_lo_80", "close_hi_80"), 29512.34)
    rows = [overview_row("MSFT"), overview_row("ETH-USD", simulated=True), overview_row("IBM", **dear)]
    width = Width(10, 0.1, 0.1, 0.9, 1.1, 0.012, tuple(0.01 + 0.0001 * day for day in range(250)))
    held = Calibration("MSFT", 1200, 0.69, 0.62, 0.76, 12, "too narrow")
    beside = report.Beside(rows, {"MSFT": width}, {"MSFT": held}, portfolio=outlook_of_two())
    path.write_text(report.page(details, "file://bucket", beside), encoding="utf-8")
    return path


@pytest.fixture(params=[(390, "light"), (390, "dark"), (700, "light"), (1440, "light"), (1440, "dark")], ids=str)
def page(request: pytest.FixtureRequest, browser: "Browser", file: Path) -> "Iterator[Page]":
    width, scheme = request.param
    opened = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    asked, said = [], []
    opened.on("request", lambda sent: asked.append(sent.url))
    opened.on("console", lambda message: said.append(message.text))
    opened.on("pageerror", lambda error: said.append(str(error)))
    opened.goto(file.as_uri())
    yield opened
    assert [url for url in asked if not url.startswith("data:")] == [file.as_uri()]
    assert said == []
    opened.close()


def test_the_page_fits_its_width_and_shows_one_picture_a_symbol(page: "Page") -> None:
    wide = page.viewport_size["width"]  # type: ignore[index]
    assert page.evaluate("document.documentElement.scrollWidth") == wide
    assert page.evaluate("[...document.querySelectorAll('body *')].filter(e => e.scrollWidth > innerWidth).length") == 0
    sideways = "/auto|scroll/.test(getComputedStyle(e).overflowX)"
    assert page.evaluate(f"[...document.querySelectorAll('*')].filter(e => {sideways}).length") == 0
    assert page.locator("table.overview tr.first").first.locator("td:visible").count() == (3 if wide == 390 else 5)
    assert (
        page.evaluate("Math.max(...[...document.querySelectorAll('*')].map(e => e.getBoundingClientRect().right))")
        <= wide
    )
    steps = page.locator("section.symbol table.steps").first
    assert all(end in steps.inner_text() for end in ("95.00 … 105.00", "90.00 … 110.00"))  # no interval is left out
    pictures = page.get_by_role("img")
    assert pictures.count() == 4
    for number in range(4):
        box = pictures.nth(number).bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= wide
    heights = page.evaluate("[...document.querySelectorAll('svg text')].map(t => t.getBoundingClientRect().height)")
    assert min(height for height in heights if height) > 9  # those of the other width are not shown


def test_axe_finds_no_fault(page: "Page") -> None:
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page)
    assert [f"{fault['id']}: {fault['nodes'][0]['html']}" for fault in found.response["violations"]] == []


def test_dark_and_light_differ(browser: "Browser", file: Path) -> None:
    colours = set()
    for scheme in ("light", "dark"):
        page = browser.new_page(color_scheme=scheme)  # type: ignore[arg-type]
        page.goto(file.as_uri())
        script = (
            "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.querySelector('text')).fill]"
        )
        colours.add(tuple(page.evaluate(script)))
        page.close()
    assert len(colours) == 2
    assert len({background for background, _ in colours}) == 2


def test_printed_on_paper_it_is_light_even_where_the_screen_is_dark(browser: "Browser", file: Path) -> None:
    page = browser.new_page(color_scheme="dark")
    page.goto(file.as_uri())
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(253, 253, 252)"
    page.set_viewport_size({"width": 688, "height": 1000})  # A4 less margins
    assert page.evaluate("document.documentElement.scrollWidth") == 688
    assert page.pdf(format="A4").startswith(b"%PDF")
    page.close()


@pytest.fixture(scope="module")
def backtest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("backtest") / "backtest.html"
    path.write_text(strategies.page(backtest_of_two()), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("width", "media"), [(390, "screen"), (1024, "screen"), (688, "print")]
)  # 688: A4 less margins
def test_the_page_of_a_backtest_shows_every_figure(
    browser: "Browser", backtest: Path, width: int, media: Literal["screen", "print"]
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    page = browser.new_page(viewport={"width": width, "height": 900})
    page.goto(backtest.as_uri())
    page.emulate_media(media=media)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    beyond = "e.getBoundingClientRect().right > innerWidth + 1 || e.scrollWidth > innerWidth"
    assert page.evaluate(f"[...document.querySelectorAll('body *')].filter(e => {beyond}).length") == 0
    figures = page.locator("tbody td")
    assert figures.count() == 2 * 8 + 2 * 3 * 13
    assert all(cell.is_visible() for cell in figures.all())
    assert page.get_by_role("img").count() == 1
    heights = page.evaluate("[...document.querySelectorAll('svg text')].map(t => t.getBoundingClientRect().height)")
    assert min(height for height in heights if height) > 8  # those of the other width are not shown
    assert Axe().run(page).response["violations"] == []
    page.close()
