"""The dashboard's overview, and what every page says about alerts and about how current forecasts are."""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.support.place import Place

from tickercast.app import App
from tickercast.config import Settings
from tickercast.domain.bars import Bars
from tickercast.domain.cards.model_card import CHAMPION
from tickercast.domain.files.price_files import to_csv
from tickercast.domain.frequency import Frequency
from tickercast.domain.measures.calibration import NARROW, Calibration
from tickercast.reading.overview import overview

pytest.importorskip("streamlit")

APP = str(Path(__file__).parents[2] / "src" / "tickercast" / "dashboard" / "app.py")
SUNDAY = datetime(2023, 7, 23, 12, tzinfo=UTC)
LATER = datetime(2023, 8, 10, tzinfo=UTC)
Open = Callable[..., Any]


@pytest.fixture
def place(tmp_path: Path, make_bars: Callable[..., Bars]) -> Place:
    made = Place(tmp_path)
    series = [make_bars("MSFT", last=date(2023, 7, 21)), make_bars("AAPL", last=date(2023, 7, 21), seed=2)]
    made.handle(made.upload("ohlc/2023-07-21/batch-0001.csv", to_csv(series)))
    return made


@pytest.fixture
def opened(place: Place, app_test: Any, monkeypatch: pytest.MonkeyPatch) -> Open:
    """Opens an address at a time, without a browser."""
    import streamlit

    from tickercast.dashboard import state

    def run(now: datetime = SUNDAY, **query: str) -> Any:
        streamlit.cache_data.clear()
        app = App(Settings(warehouse=place.warehouse.url, bucket=place.store.url), now=lambda: now)
        monkeypatch.setattr(state, "_app", lambda: app)
        page = app_test.from_file(APP, default_timeout=60)
        for name, value in query.items():
            page.query_params[name] = value
        made = page.run()
        assert not made.exception
        return made

    return run


def said(page: Any) -> str:
    return " ".join(each.value for each in page.markdown)


def test_the_rows_are_those_of_the_overview(opened: Open, place: Place) -> None:
    shown = opened().dataframe[0].value.set_index("symbol")
    rows = overview(place.warehouse, now=SUNDAY)
    assert list(shown.index) == [row.symbol for row in rows] == ["AAPL", "MSFT"]
    for row in rows:
        found = shown.loc[row.symbol]
        assert found["last close"] == row.last_close
        assert (found["80% from"], found["to"]) == (row.close_lo_80, row.close_hi_80)
        assert (found["from %"], found["to %"]) == (row.lo_80, row.hi_80)
        assert (found["day"], found["higher"], found["wider than"]) == (row.change, row.chance_higher, row.width_rank)
        assert list(found["width"]) == list(row.widths)
        assert (found["state"], found["verdict"], found["missed"]) == (row.state, row.verdict, row.missed)


def test_symbols_that_are_left_out_are_named_as_the_badge_counts_them(
    opened: Open, place: Place, make_bars: Callable[..., Bars]
) -> None:
    assert "left out" not in said(opened())
    old = to_csv([make_bars("GOOG", last=date(2023, 3, 10), seed=3)])
    place.handle(place.upload("ohlc/2023-03-10/GOOG.csv", old))
    page = opened()
    assert "2 of 2 symbols." in said(page)
    assert "1 symbol without a forecast of the 100 days up to the newest is left out: GOOG." in said(page)
    assert "2 of 3 forecasts fresh: 1 expired" in said(page)


def test_filters_are_in_the_address_and_say_what_is_left(opened: Open) -> None:
    page = opened(find="ms")
    assert list(page.dataframe[0].value["symbol"]) == ["MSFT"]
    assert "1 of 2 symbols." in said(page)
    other = page.text_input[0].set_value("aap").run()
    assert other.query_params["find"] in ("aap", ["aap"])
    assert list(other.dataframe[0].value["symbol"]) == ["AAPL"]
    none = opened(verdict="worse")
    assert not none.dataframe
    assert "No symbol is left" in none.info[0].value


def test_a_weekend_makes_no_forecast_old(opened: Open) -> None:
    page = opened()
    assert set(page.dataframe[0].value["state"]) == {"fresh"}
    assert "2 of 2 forecasts fresh" in said(page)
    assert not opened(look="on").dataframe, "nothing needs a look"


@pytest.mark.parametrize("name", ["Overview", "Forecast", "Portfolio", "Track record", "Operations"])
def test_an_expired_forecast_is_said_on_every_page(opened: Open, name: str) -> None:
    assert "0 of 2 forecasts fresh: 2 expired" in said(opened(LATER, page=name))


def test_the_page_of_a_symbol_says_how_current_its_forecast_is(opened: Open) -> None:
    assert "13 sessions have closed since 2023-07-21: this forecast has expired" in said(opened(LATER, symbol="MSFT"))
    assert "No session has closed since 2023-07-21" in said(opened(symbol="MSFT"))


def test_intervals_that_have_not_held_are_flagged(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    from tickercast.dashboard import state

    flagged = Calibration("MSFT", 7430, 0.69, 0.64, 0.74, 39, NARROW)

    def found(symbols: Sequence[str] | None, frequency: Frequency) -> list[Calibration]:
        return [flagged] if symbols is None or "MSFT" in symbols else []

    monkeypatch.setattr(state, "calibrations", found)
    shown = opened(look="on").dataframe[0].value
    assert shown[["symbol", "intervals"]].to_numpy().tolist() == [["MSFT", "too narrow"]]
    assert "Too narrow: the 80% intervals held 69% (64% to 74%) of 7,430 closes" in said(opened(symbol="MSFT"))
    assert "Too narrow" not in said(opened(symbol="AAPL"))


def test_open_alerts_are_on_every_page(opened: Open, place: Place) -> None:
    place.store.write(CHAMPION, b'{"name": "tickercast-lstm", "version": "1"}')
    place.handle(place.upload("ohlc/2023-07-22/TORN.csv", b"Date,Open\n"))
    for name in ("Overview", "Track record"):
        assert "ohlc/2023-07-22/TORN.csv" in said(opened(page=name)).replace("\\", "")
