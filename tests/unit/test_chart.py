"""The pictures of forecasts: the same each time, and at home on a page."""

import re
from datetime import date
from xml.etree import ElementTree

import pytest
from tests.support.told import RESULTS, told, told_hours

from tickercast.show import chart

PNG = b"\x89PNG\r\n\x1a\n"


def height_of(png: bytes) -> int:
    return int.from_bytes(png[20:24], "big")


def test_a_chart_of_several_symbols_has_a_picture_below_each_other() -> None:
    one, three = chart.forecast_png([told()]), chart.forecast_png([told(), told("AAPL"), told("GOOG", sessions=0)])
    assert one.startswith(PNG)
    assert height_of(three) == 3 * height_of(one)


def test_the_same_forecast_is_the_same_picture() -> None:
    assert chart.forecast_png([told()]) == chart.forecast_png([told()])
    drawn = [chart.forecast_svg(told(), name="a", alt="x") for _ in range(2)]
    assert drawn[0] == drawn[1]


@pytest.mark.parametrize("narrow", [True, False])
def test_an_element_is_well_formed_is_described_in_words_and_takes_its_colours_from_the_page(narrow: bool) -> None:
    drawn = chart.forecast_svg(told(actual={date(2023, 7, 24): 99.0}), name="a", alt='fan & "more"', narrow=narrow)
    root = ElementTree.fromstring(drawn)
    assert root.attrib["aria-label"] == 'fan & "more"'
    assert not re.search(r"#[0-9a-f]{6}", drawn)
    assert {name for name in chart.COLOURS if f"var(--{name})" in drawn} >= {"band-80", "band-95", "median", "actual"}
    assert all(name.startswith("a-") for name in re.findall(r'\bid="([^"]+)', drawn))
    assert not re.search(r"<style|<metadata|<\?xml|<!DOCTYPE", drawn)


def test_what_followed_is_drawn_only_where_it_is_known() -> None:
    assert "var(--actual)" not in chart.forecast_svg(told(actual={}), name="a", alt="x")


def test_a_symbol_is_never_read_as_a_formula() -> None:
    assert chart.forecast_png([told("$x_1$")]).startswith(PNG)
    assert chart.forecast_png([told("$")]).startswith(PNG)


def test_the_session_on_which_results_act_is_marked() -> None:
    drawn = [chart.forecast_svg(told(results=results), name="a", alt="x") for results in (None, RESULTS)]
    assert ["var(--results)" in each for each in drawn] == [False, True]
    assert chart.forecast_png([told(results=RESULTS)]) != chart.forecast_png([told()])


def labels(drawn: str) -> dict[str, float]:
    """The labels of a chart, and how far below its top each stands, in points."""
    return {text: float(y) for y, text in re.findall(r'<text[^>]* y="([\d.]+)"[^>]*>([^<]+)<', drawn)}


@pytest.mark.parametrize(
    ("price", "some"),
    [(65000.0, "66,000"), (1_000_000.0, "1,050,000"), (343.77, "350"), (0.001, "0.001050"), (2.0, "2.10")],
)
def test_prices_are_labelled_whole_and_with_thousands_apart(price: float, some: str) -> None:
    assert some in labels(chart.forecast_svg(told_hours(price=price), name="a", alt="x"))


@pytest.mark.parametrize("narrow", [True, False])
def test_the_lowest_price_stands_apart_from_the_last_date(narrow: bool) -> None:
    below = sorted(labels(chart.forecast_svg(told_hours(price=65000.0), name="a", alt="x", narrow=narrow)).values())
    assert below[-1] - max(y for y in below if y < below[-1]) > 1.5 * 9, "more than one and a half lines of 9 points"
