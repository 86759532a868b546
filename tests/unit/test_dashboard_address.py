"""The address of the dashboard's pages: what it asks for is shown, or said not to be there, and choices are in it."""

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from tests.support.place import Place

from tickercast.domain.bars import Bars
from tickercast.domain.files.price_files import to_csv
from tickercast.plain import markdown

pytest.importorskip("streamlit")

APP = str(Path(__file__).parents[2] / "src" / "tickercast" / "dashboard" / "app.py")
Open = Callable[..., Any]


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory, make_bars: Callable[..., Bars]) -> str:
    """The URL of a warehouse with two vintages of two symbols, which no page changes."""
    place = Place(tmp_path_factory.mktemp("place"))
    series = [make_bars("MSFT", last=date(2023, 7, 21)), make_bars("AAPL", last=date(2023, 7, 21), seed=2)]
    for day in (date(2023, 7, 7), date(2023, 7, 21)):
        place.handle(place.upload(f"ohlc/{day}/batch-0001.csv", to_csv([bars.until(day) for bars in series])))
    return place.warehouse.url


@pytest.fixture
def opened(warehouse: str, app_test: Any, monkeypatch: pytest.MonkeyPatch) -> Open:
    """Opens an address, without a browser."""
    import streamlit

    streamlit.cache_data.clear()
    streamlit.cache_resource.clear()
    monkeypatch.setenv("TICKERCAST_WAREHOUSE", warehouse)

    def run(**query: str) -> Any:
        app = app_test.from_file(APP, default_timeout=60)
        for name, value in query.items():
            app.query_params[name] = value
        made = app.run()
        assert not made.exception
        return made

    return run


def shown(page: Any) -> str:
    """The symbol whose forecast is shown; empty if none is."""
    titles = [said.value.splitlines()[0] for said in page.markdown if said.value.startswith("## ")]
    return titles[0].removeprefix("## ") if titles else ""


def asks(page: Any) -> dict[str, str]:
    return {name: value if isinstance(value, str) else value[0] for name, value in page.query_params.items()}


@pytest.mark.parametrize("spelt", ["MSFT", "msft", "Msft "])
def test_a_symbol_in_any_case_opens_that_symbol(opened: Open, spelt: str) -> None:
    page = opened(symbol=spelt)
    assert shown(page) == "MSFT"
    assert page.title[0].value == "Forecast"


@pytest.mark.parametrize(
    ("spelt", "said"),
    [
        ("mstf", "MSTF has no daily forecast here. Pick another symbol, or run: tickercast forecast MSTF"),
        ("[x](http://a.b)", "'[x](http://a.b)' is not a symbol. Pick one from the list."),
        ("", "'' is not a symbol. Pick one from the list."),
    ],
)
def test_an_unknown_symbol_opens_no_other(opened: Open, spelt: str, said: str) -> None:
    page = opened(symbol=spelt)
    assert shown(page) == ""
    [warning] = page.warning
    assert warning.value == markdown(said)


def test_a_suggestion_opens_the_symbol(opened: Open) -> None:
    page = opened(symbol="MSTF")
    [button] = [each for each in page.button if each.label == "MSFT"]
    found = button.click().run()
    assert shown(found) == "MSFT"
    assert asks(found) == {"symbol": "MSFT"}


def test_without_a_symbol_the_overview_comes_first(opened: Open) -> None:
    assert opened().title[0].value == "Overview"


def test_choices_are_in_the_address_and_usual_ones_are_not(opened: Open) -> None:
    page = opened(symbol="MSFT")
    [span] = [group for group in page.button_group if group.label == "Range"]
    wide = span.set_value("1Y").run()
    assert asks(wide) == {"symbol": "MSFT", "range": "1Y"}
    [earlier] = [box for box in wide.selectbox if box.label == "Forecast made from"]
    past = earlier.set_value("2023-07-07").run()
    assert asks(past) == {"symbol": "MSFT", "range": "1Y", "cutoff": "2023-07-07"}
    [switch] = past.toggle
    bare = switch.set_value(False).run()
    assert asks(bare)["ghosts"] == "off"
    [symbols] = [box for box in bare.selectbox if box.label == "Symbol"]
    other = symbols.set_value("AAPL").run()
    assert asks(other) == {"symbol": "AAPL", "range": "1Y", "ghosts": "off"}, "a cutoff is one symbol's"
    [span] = [group for group in other.button_group if group.label == "Range"]
    assert "range" not in asks(span.set_value("3M").run())


def test_an_address_brings_its_choices_back(opened: Open) -> None:
    page = opened(
        symbol="MSFT", range="1y", cutoff="2023-07-07", overlays="bollinger,ema 12", panels="none", compare="aapl"
    )
    values = {group.label: group.value for group in page.button_group}
    assert (values["Range"], values["Overlays"], values["Panels"]) == ("1Y", ["Bollinger", "EMA 12"], [])
    assert {box.label: box.value for box in page.selectbox} == {
        "Symbol": "MSFT", "Forecast made from": "2023-07-07", "Compare with": "AAPL",
    }  # fmt: skip
    assert not page.warning
    assert any("Both symbols in percent from their closes on 2023-07-07" in said.value for said in page.caption)


def test_an_earlier_forecast_is_marked_as_one_and_is_not_called_current_or_old(opened: Open) -> None:
    newest, earlier = (
        " ".join(said.value for said in opened(symbol="MSFT", **query).markdown)
        for query in ({}, {"cutoff": "2023-07-07"})
    )
    assert "this forecast has expired" in newest
    assert "An earlier forecast: the newest is from 2023-07-21" in earlier
    assert "this forecast" not in earlier
    assert "As of 2023-07-07 MSFT moves" in earlier


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("range", "9Y", "range=9Y. It can be 1M, 3M, 6M, 1Y, 5Y, All; 3M is shown"),
        ("cutoff", "1999-01-01", "cutoff=1999-01-01. It can be newest, 2023-07-07; newest is shown"),
        ("model", "prophet", "model=prophet. It can be champion; champion is shown"),
        ("overlays", "SMA 99", "overlays=SMA 99"),
        ("ghosts", "maybe", "ghosts=maybe"),
        ("compare", "ORCL", "compare=ORCL. It can be nothing, random-walk, AAPL; nothing is shown"),
        (
            "page",
            "Nope",  # spelt like one of them
            "page=Nope. It can be Overview, Forecast, Portfolio, Strategies, Track record, Operations; Forecast is",
        ),
        ("every", "1h", "every=1h. It can be 1d; 1d is shown"),
    ],
)
def test_what_the_address_asks_for_in_vain_is_said(opened: Open, name: str, value: str, said: str) -> None:
    page = opened(**{"symbol": "MSFT", name: value})
    [warning] = page.warning
    assert said in warning.value.replace("\\", "")
    assert shown(page) == "MSFT"


def test_of_many_values_those_that_are_spelt_alike_are_named_as_some_of_them(app_test: Any) -> None:
    def page() -> None:
        from tickercast.dashboard import address

        symbols = ["AAPL", "MSFT", "MSTR", *(f"X{number}" for number in range(9))]
        for asked in ("MSF", "7"):
            address.unknown("compare", asked, symbols, "nothing is shown")
        address.say_unknown()

    near, first = (said.value.replace("\\", "") for said in app_test.from_function(page).run().warning)
    assert near == "The address asks for compare=MSF. It can be one of 12, such as MSFT, MSTR; nothing is shown."
    assert first.startswith("The address asks for compare=7. It can be one of 12, such as X7")


def test_a_page_is_left_in_one_entry_and_keeps_the_choices(opened: Open) -> None:
    page = opened(symbol="MSFT", range="1Y")
    [pages] = [group for group in page.button_group if group.label == "Page"]
    there = pages.set_value("Track record").run()
    assert asks(there) == {"symbol": "MSFT", "range": "1Y", "page": "Track record"}
