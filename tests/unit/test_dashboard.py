"""The dashboard's parts, each by itself: what it asks, what it draws, what it says, and how it starts."""

import importlib.util
import itertools
import socket
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest
from rich.text import Text
from tests.support.place import Place
from tests.support.warehouse_rows import ingestion
from typer.testing import CliRunner

from tickercast.app import App
from tickercast.backends.warehouse.duckdb import DuckDBWarehouse
from tickercast.cli import app
from tickercast.config import Settings, resource
from tickercast.dashboard import charts, figures, launch
from tickercast.dashboard.palette import DARK, LIGHT, SHAPES
from tickercast.dashboard.strategy_figures import drawdown_figure, equity_figure, positions_figure
from tickercast.domain.bars import Bars
from tickercast.domain.cards.model_card import CHAMPION
from tickercast.domain.events import ResultsDay
from tickercast.domain.files.price_files import to_csv
from tickercast.domain.forecast import Role
from tickercast.domain.learning.width import Width
from tickercast.errors import UsageError, WarehouseUnavailable
from tickercast.reading import views
from tickercast.reading.track_record import Seen
from tickercast.show import sentences
from tickercast.show.answers import percent
from tickercast.show.looker import report_urls
from tickercast.show.tables import forecast_frame

MakeBars = Callable[..., Bars]
SESSIONS = pd.bdate_range(end="2023-07-21", periods=60)


@pytest.fixture
def place(tmp_path: Path, make_bars: MakeBars) -> Place:
    """Three vintages of two symbols."""
    made = Place(tmp_path)
    made.now = datetime(2023, 9, 1, tzinfo=UTC)
    series = [make_bars("MSFT", last=date(2023, 8, 18)), make_bars("BRK-B", last=date(2023, 8, 18), seed=2)]
    for day in (date(2023, 7, 7), date(2023, 7, 14), date(2023, 7, 21), date(2023, 8, 18)):
        cut = [bars.until(day) for bars in series]
        made.handle(made.upload(f"ohlc/{day}/batch-0001.csv", to_csv(cut)))
    return made


def bars(sessions: pd.DatetimeIndex = SESSIONS, **more: Any) -> pd.DataFrame:
    close = 100 + np.arange(len(sessions), dtype=float)
    table = dict.fromkeys(("open", "high", "low", "close", *sum(figures.OVERLAYS.values(), ())), close)
    rest = dict.fromkeys(("macd", "macd_signal", "macd_histogram", "rsi_14"), 50.0)
    return pd.DataFrame({"session_date": sessions, **table, "volume": 1e6, **rest} | more)


def vintage(cutoff: str = "2023-07-21", last_close: float = 100.0, **more: Any) -> pd.DataFrame:
    targets = pd.bdate_range(cutoff, periods=11)[1:]
    shares = {"close_median": 1, "close_lo_80": 0.9, "close_hi_80": 1.1, "close_lo_95": 0.8, "close_hi_95": 1.2}
    prices = {name: last_close * share for name, share in shares.items()}
    common = {"cutoff": pd.Timestamp(cutoff), "last_close": last_close, "model_name": "lstm", "generation": "1"}
    return pd.DataFrame({"step": range(1, 11), "target_date": targets, **common, **prices, "inside": ""} | more)


# ---------------------------------------------------------------- questions


def test_symbols_are_those_that_were_forecast(place: Place) -> None:
    place.handle(place.upload("ohlc/2023-07-22/TORN.csv", b"Date,Open\n"))
    assert views.symbols(place.warehouse) == ["BRK-B", "MSFT"]


def test_the_last_vintage_is_the_one_of_the_view_for_charts(place: Place) -> None:
    made = views.champion_forecasts(place.warehouse, "MSFT")
    newest = made[made["cutoff"] == made["cutoff"].max()]
    viewed = place.warehouse.read("predicted_prices", {"symbol": "MSFT"})
    expected = viewed[viewed["is_forecast"]].sort_values("date")
    assert newest["close_median"].tolist() == expected["close_median"].tolist()
    assert newest["target_date"].tolist() == expected["date"].tolist()


def newest(place: Place, **changes: Any) -> pd.DataFrame:
    """The champion's newest forecast of MSFT as the table holds it, with changes, as if from a later file."""
    stored = place.warehouse.read("forecasts", {"symbol": "MSFT", "role": Role.CHAMPION})
    rows = stored[stored["cutoff"] == stored["cutoff"].max()]
    return rows.assign(written_at=rows["written_at"].max() + pd.Timedelta(hours=1), generation="1", **changes)


def test_a_shadow_is_never_taken_for_the_champion(place: Place) -> None:
    champion = newest(place)
    shadow = champion.assign(model_version="6", role=Role.SHADOW)
    place.warehouse.append("forecasts", pd.concat([shadow, champion]), key="shadow")
    viewed = place.warehouse.read("predicted_prices", {"symbol": "MSFT"})
    assert set(viewed["model_version"]) == {"7"}
    made = views.champion_forecasts(place.warehouse, "MSFT")
    assert set(made["model_name"]) == {"champion"}
    assert set(made["model_version"]) == {"7"}


def test_the_champion_is_neither_the_random_walk_nor_a_companion(place: Place) -> None:
    place.warehouse.append("forecasts", newest(place, model_name="garch", role=Role.COMPANION), key="companion")
    stored = place.warehouse.read("latest_forecasts", {"symbol": "MSFT"})
    assert set(stored["model_name"]) == {"champion", "garch", "random-walk"}
    assert set(views.champion_forecasts(place.warehouse, "MSFT")["model_name"]) == {"champion"}
    assert set(views.random_walk(place.warehouse, "MSFT")["model_name"]) == {"random-walk"}


def test_of_two_champions_with_one_cutoff_the_later_file_counts(place: Place) -> None:
    place.warehouse.append("forecasts", newest(place, model_name="b"), key="b")
    made = views.champion_forecasts(place.warehouse, "MSFT")
    last = made[made["cutoff"] == made["cutoff"].max()]
    assert set(last["model_name"]) == {"b"}
    assert len(last) == 10


def test_simulated_forecasts_are_shown_only_where_there_are_no_others(place: Place, make_bars: MakeBars) -> None:
    for symbol in ("MSFT", "SIM"):
        simulated = replace(make_bars(symbol, last=date(2023, 8, 25)), simulated=True)
        place.handle(place.upload(f"ohlc/2023-08-25/{symbol}.csv", to_csv([simulated])))
    real, only = (views.champion_forecasts(place.warehouse, symbol) for symbol in ("MSFT", "SIM"))
    assert real["cutoff"].max() == pd.Timestamp("2023-08-18")
    assert not real["simulated"].any()
    assert only["simulated"].all()
    assert len(only) == 10


def test_every_question_can_be_asked(place: Place) -> None:
    assert views.health(place.warehouse)["forecast"].sum() == 8
    assert views.not_forecast(place.warehouse).empty
    assert views.freshness(place.warehouse)["cutoff"].dt.date.tolist() == [date(2023, 8, 18)] * 2
    assert set(views.models(place.warehouse)["model_name"]) == {"champion", "random-walk"}
    assert set(views.coverage(place.warehouse)["model_name"]) == {"champion", "random-walk"}
    overall = views.skill(place.warehouse)
    assert ((overall["symbol"].isna()) | (overall["step"].isna())).all()
    assert views.decisions(place.warehouse).empty
    assert views.drift(place.warehouse).empty
    assert views.histogram(place.warehouse, "MSFT")["sessions"].sum() == 250


def test_looking_at_a_warehouse_that_is_not_there_makes_none(tmp_path: Path) -> None:
    path = tmp_path / "nowhere" / "w.duckdb"
    with pytest.raises(WarehouseUnavailable, match="has not been set up"):
        views.symbols(DuckDBWarehouse(path, resource("sql")))
    assert not path.parent.exists()


# ---------------------------------------------------------------- choices


def test_what_came_true_lies_inside_between_or_outside() -> None:
    closes = np.full(10, 100.0)
    closes[:3] = (105.0, 115.0, 125.0)
    known = pd.DataFrame(
        {"session_date": [pd.Timestamp("2023-07-21"), *vintage()["target_date"][:9]], "close": [100.0, *closes[:9]]}
    )
    made = views.with_actuals(vintage(), known)
    assert made["inside"].tolist() == ["80%", "95%", "outside", *["80%"] * 6, ""]
    assert sentences.came_true(made) == (
        "Of the 9 closes that followed, 7 (78%) were inside the 80% interval and 8 (89%) inside the 95% interval."
    )
    assert sentences.came_true(views.with_actuals(vintage(), known[:1])) == ""


def test_a_split_rebases_an_earlier_forecast() -> None:
    known = pd.DataFrame({"session_date": [pd.Timestamp("2023-07-21")], "close": [50.0]})
    made = views.with_actuals(vintage(last_close=100.0), known)
    assert made[["last_close", "close_median", "close_hi_95"]].iloc[0].tolist() == pytest.approx([50.0, 50.0, 60.0])


def test_ghosts_never_overlap() -> None:
    vintages = pd.concat([vintage(f"2023-06-{day:02}") for day in (1, 5, 14, 15, 29)])
    kept = views.apart(vintages, pd.Timestamp("2023-06-30"))
    assert [f"{cutoff:%d}" for cutoff in kept["cutoff"].unique()] == ["01", "15"]
    assert views.apart(vintages.iloc[:0], pd.Timestamp("2023-06-30")).empty


# ---------------------------------------------------------------- figures


def names(figure: Any) -> list[str]:
    return [trace.name for trace in figure.data]


def test_the_fan_begins_at_the_last_close_and_holds_both_intervals() -> None:
    figure = figures.forecast_figure(bars(), vintage(), vintage().iloc[:0], LIGHT)
    traces = {trace.name: trace for trace in figure.data}
    assert traces["median"].x[0] == "2023-07-21"
    assert list(traces["median"].y) == [100.0] * 11
    assert max(y for y in traces["95% interval"].y if y) == pytest.approx(120)
    assert min(y for y in traces["80% interval"].y if y) == pytest.approx(90)
    assert "earlier medians" not in traces


def test_the_session_on_which_results_act_is_marked() -> None:
    none = vintage().iloc[:0]
    expected = ResultsDay(date(2023, 7, 25), "after", date(2023, 7, 26), is_predicted=True)
    marked = figures.forecast_figure(bars(), vintage(), none, LIGHT, panels=[], results=expected).layout
    [line], [label] = marked.shapes, marked.annotations
    assert (line.x0, line.x1) == ("2023-07-26", "2023-07-26")
    assert label.text == "results 2023-07-25, predicted"
    assert (label.xanchor, label.yanchor) == ("right", "bottom"), "it stands above the chart, left of its line"
    assert marked.margin.t >= 25, "its text needs room there"


def test_what_the_ledger_says_about_a_forecast_is_its_findings_and_its_results_day(place: Place) -> None:
    targets = [pd.Timestamp(day) for day in ("2023-07-24", "2023-07-25", "2023-07-26")]
    assert views.remarks(place.warehouse, "MSFT", "none", "1", targets) == views.Remarks("", None)
    told = {"results_date": date(2023, 7, 25), "results_session": "before", "results_predicted": False}
    row = ingestion(symbol="MSFT", findings="odd", cutoff=date(2023, 7, 21), **told)
    place.warehouse.append("ingestions", pd.DataFrame([row]), key="a remark")
    said = views.remarks(place.warehouse, row["symbol"], row["object"], row["generation"], targets)
    assert said.findings == "odd"
    assert str(said.results) == "2023-07-25 (before the open)"


def test_ghosts_and_what_came_true_are_told_apart_by_shape() -> None:
    earlier = vintage("2023-06-01", inside=["80%", "95%", "outside", *["80%"] * 7], actual=100.0)
    figure = figures.forecast_figure(bars(), vintage(actual=np.nan), earlier, DARK)
    shapes = [trace.marker.symbol for trace in figure.data if str(trace.name).startswith("actual, ")]
    assert shapes == ["circle", "diamond", "x"]
    assert "earlier 80% intervals" in names(figure)


@pytest.mark.parametrize("overlay", list(figures.OVERLAYS))
def test_each_overlay_is_drawn_when_asked_for(overlay: str) -> None:
    none = vintage().iloc[:0]
    assert overlay in names(figures.forecast_figure(bars(), vintage(), none, LIGHT, overlays=[overlay]))
    assert overlay not in names(figures.forecast_figure(bars(), vintage(), none, LIGHT))


BLIND = {
    "red": ((0.152, 1.053, -0.205), (0.115, 0.786, 0.099), (-0.004, -0.048, 1.052)),
    "green": ((0.367, 0.861, -0.228), (0.280, 0.673, 0.047), (-0.012, 0.043, 0.969)),
    "blue": ((1.256, -0.077, -0.179), (-0.078, 0.931, 0.148), (0.005, 0.691, 0.304)),
}
"""The view of linear RGB of readers who are blind to a colour (Machado, Oliveira and Fernandes, 2009)."""


def seen(colour: str, blind: str) -> Any:
    """A colour in CIELAB, as a reader sees it who is blind to another."""
    shares = np.array([int(colour[start : start + 2], 16) for start in (1, 3, 5)]) / 255
    linear = np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)
    mixed = np.clip(np.array(BLIND[blind]) @ linear, 0, 1)
    white = np.array([0.9505, 1, 1.089])
    x, y, z = np.cbrt(np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ mixed)
    x, y, z = np.array([x, y, z]) / np.cbrt(white)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("blind", list(BLIND))
def test_readers_who_are_blind_to_a_colour_tell_the_first_lines_apart(blind: str) -> None:
    for palette in (LIGHT, DARK):
        for colours in (palette.lines[:3], palette.series[:3]):
            for one, other in itertools.combinations(colours, 2):
                assert np.linalg.norm(seen(one, blind) - seen(other, blind)) > 15, (one, other)


def test_no_line_is_told_from_another_by_its_colour_alone() -> None:
    drawn = figures.forecast_figure(bars(), vintage(), vintage().iloc[:0], LIGHT, overlays=list(figures.OVERLAYS))
    dashes = {trace.name: trace.line.dash for trace in drawn.data if trace.name in figures.OVERLAYS}
    assert len(set(dashes.values())) == len(figures.OVERLAYS)
    names = [f"strategy {number}" for number in range(9)]
    rows = {"bar": SESSIONS[0], "equity": 1.0, "gross_equity": np.nan, "drawdown": 0.0, "weight_MSFT": 1.0}
    accounts = pd.DataFrame([{"strategy": name, **rows} for name in names])
    steps = pd.DataFrame([skill(model_name=name) for name in names])
    pictures = [draw(accounts, DARK).data for draw in (equity_figure, drawdown_figure, positions_figure)]
    for traces in (*pictures, charts.steps_figure(steps, DARK).data):
        assert len({(trace.marker.symbol, trace.line.color) for trace in traces}) == len(names)
        assert len({trace.marker.symbol for trace in traces[: len(SHAPES)]}) == len(SHAPES)


def test_panels_take_rows_of_their_own_and_none_where_there_is_no_volume() -> None:
    none = vintage().iloc[:0]
    assert len(figures.forecast_figure(bars(), vintage(), none, LIGHT).layout.shapes) == 2, "RSI's 30 and 70"
    assert figures.forecast_figure(bars(), vintage(), none, LIGHT, panels=[]).layout.height == 450
    for unknown in (np.nan, 0.0):
        drawn = figures.forecast_figure(bars(volume=unknown), vintage(), none, LIGHT, panels=["Volume"])
        assert drawn.layout.height == 450


def test_years_are_drawn_as_weeks() -> None:
    week = figures.aggregated(bars(SESSIONS[-5:], high=[1.0, 9, 2, 3, 4], low=[5.0, 1, 2, 3, 4]))
    assert week[["open", "high", "low", "close", "volume"]].to_numpy().tolist() == [[100.0, 9.0, 1.0, 104.0, 5e6]]
    many = bars(pd.bdate_range(end="2023-07-21", periods=figures.WEEKLY_FROM))
    figure = figures.forecast_figure(many, vintage(), vintage().iloc[:0], LIGHT, panels=[])
    assert "one candle a week" in names(figure)


def test_the_axis_leaves_out_days_without_sessions_except_where_it_trades_on_all() -> None:
    none = vintage().iloc[:0]
    holiday = bars(SESSIONS.delete(30))
    weekends, closed = figures.forecast_figure(holiday, vintage(), none, LIGHT).layout.xaxis.rangebreaks
    assert weekends.bounds == ("sat", "mon")
    assert list(closed["values"]) == [f"{SESSIONS[30]:%Y-%m-%d}"]
    crypto = bars(pd.date_range(end="2023-07-21", periods=60))
    assert not figures.forecast_figure(crypto, vintage(), none, LIGHT).layout.xaxis.rangebreaks


def test_the_axis_keeps_the_days_on_which_only_the_symbol_beside_trades() -> None:
    none, days = vintage().iloc[:0], pd.date_range("2023-07-22", periods=10)
    coin = figures.Beside("BTC-USD", vintage(target_date=days), bars(pd.date_range(end="2023-07-21", periods=60)))
    assert not figures.forecast_figure(bars(), vintage(), none, LIGHT, beside=coin).layout.xaxis.rangebreaks
    stock = figures.Beside("AAPL", vintage(), bars())
    with_holiday = bars(SESSIONS.delete(30))
    _, closed = figures.forecast_figure(with_holiday, vintage(), none, LIGHT, beside=stock).layout.xaxis.rangebreaks
    assert list(closed["values"]) == []


def test_the_random_walk_is_drawn_beside_when_asked_for() -> None:
    beside = figures.Beside("random-walk", vintage())
    figure = figures.forecast_figure(bars(), vintage(), vintage().iloc[:0], LIGHT, beside=beside)
    assert {"random-walk, 80%", "random-walk, median"} <= set(names(figure))


def test_a_miss_has_a_shape_a_size_and_a_colour_that_nothing_else_has() -> None:
    followed = vintage(inside=["80%", "95%", "outside", *["80%"] * 7], actual=100.0)
    for palette in (LIGHT, DARK):
        figure = figures.forecast_figure(bars(), followed, vintage().iloc[:0], palette)
        marks = {trace.name: trace.marker for trace in figure.data if str(trace.name).startswith("actual, ")}
        miss = marks.pop("actual, outside both intervals")
        assert miss.color not in {palette.up, palette.down, *palette.lines, *(mark.color for mark in marks.values())}
        assert miss.symbol not in {mark.symbol for mark in marks.values()}
        assert miss.size > max(mark.size for mark in marks.values())
        assert (miss.line.color, miss.line.width) == (palette.page, 1.5), "set off from a candle of its own colour"


def test_on_weekly_candles_one_close_a_week_is_marked_and_no_miss_is_lost() -> None:
    earlier = vintage("2023-06-02", inside=["80%", "outside", "95%", "80%", "80%", *["80%"] * 5], actual=100.0)
    thin = figures.thinned(earlier)
    assert thin["inside"].tolist() == ["outside", "80%"]
    many = bars(pd.bdate_range(end="2023-07-21", periods=figures.WEEKLY_FROM))
    figure = figures.forecast_figure(many, vintage(actual=np.nan), earlier, LIGHT, panels=[])
    marks = [day for trace in figure.data if str(trace.name).startswith("actual, ") for day in trace.x]
    assert sorted(marks) == ["2023-06-06", "2023-06-12"]


def test_thirteen_quantiles_are_shaded_where_they_are_stored() -> None:
    closes = [100 * np.exp(0.01 * np.arange(-6, 7)) for _ in range(10)]
    none = vintage().iloc[:0]
    shaded = figures.forecast_figure(bars(), vintage(quantiles=pd.Series(closes)), none, LIGHT, panels=[])
    bands = [trace for trace in shaded.data if trace.type == "scatter" and trace.fill == "toself"]
    assert len(bands) == 6
    assert [trace.name for trace in bands if trace.showlegend] == ["95% interval", "80% interval"]
    assert [max(trace.y) for trace in bands] == pytest.approx(
        [100 * np.exp(0.01 * step) for step in (6, 5, 4, 3, 2, 1)]
    )


def test_the_fan_says_in_words_where_the_close_may_lie() -> None:
    figure = figures.forecast_figure(bars(), vintage(), vintage().iloc[:0], LIGHT, panels=[])
    [median] = [trace for trace in figure.data if trace.name == "median"]
    assert median.text[1] == (
        "Close on Mon 24 Jul: 80% between 90.00 and 110.00<br>95% between 80.00 and 120.00<br>even odds at 100.00"
    )


def test_two_symbols_are_compared_in_percent() -> None:
    fan, other = figures.as_change(vintage(), 100.0), figures.as_change(vintage(last_close=50.0), 50.0)
    history = figures.as_change(bars(close=50.0), 50.0)
    beside = figures.Beside("AAPL", other, history)
    drawn = figures.forecast_figure(
        figures.as_change(bars(), 100.0), fan, fan.iloc[:0], LIGHT, beside=beside, panels=[], is_change=True
    )
    traces = {trace.name: trace for trace in drawn.data}
    assert max(traces["95% interval"].y[:-1]) == pytest.approx(0.2)
    assert max(traces["AAPL, 80%"].y) == pytest.approx(0.1)
    assert traces["AAPL"].y[0] == 0
    assert drawn.layout.yaxis.tickformat == "+.0%"
    assert "between -10.0% and +10.0%" in traces["median"].text[1]


def test_another_symbol_is_drawn_without_a_forecast_and_beyond_an_old_one() -> None:
    history, none = bars(close=1.0), vintage().iloc[:0]
    for fan, drawn in ((none, 60), (vintage("2023-07-14"), 60 + 1 + 11)):
        beside = figures.Beside("AAPL", fan, history)
        figure = figures.forecast_figure(bars(), vintage(), none, LIGHT, beside=beside, panels=[], is_change=True)
        [line] = [trace for trace in figure.data if trace.name == "AAPL"]
        assert len(line.x) == drawn
        assert (None in line.x) == bool(len(fan)), "a line that goes back in time would cross the bars"


def test_the_factors_of_a_width_are_drawn_one_after_the_other() -> None:
    drawn = figures.width_figure(Width(10, 0.12, 0.1, 0.8, 1.5, 0.01, (0.01,)), DARK)
    assert list(drawn.data[0].x) == pytest.approx([0.1, 0.08, 0.12])
    assert list(drawn.data[0].y) == ["usual for its year", "lately: × 0.80", "the model: × 1.50"]


def skill(**more: Any) -> dict[str, Any]:
    return {
        "model_name": "lstm", "role": "champion", "symbol": "MSFT", "step": 1,
        "n": 1234, "n_backfilled": 0, "blocks": 12,
        "pinball_ratio": 0.97, "pinball_ratio_lo": 0.94, "pinball_ratio_hi": 0.99, "mae_ratio": 1.0,
        "coverage_80": 0.79, "coverage_95": 0.95, "direction": 0.5, "verdict": "better",
    } | more  # fmt: skip


def test_the_pictures_of_the_record_hold_their_rows() -> None:
    months = pd.date_range("2023-01-01", periods=3, freq="MS")
    covered = pd.DataFrame({"model_name": "lstm", "month": months, "coverage_80": 0.8, "coverage_95": 0.9, "n": 10})
    assert list(charts.coverage_figure(covered, "lstm", LIGHT).data[1].y) == [0.8] * 3
    steps = pd.DataFrame([skill(step=step) for step in (2, 1)])
    assert list(charts.steps_figure(steps, LIGHT).data[0].x) == [1, 2]
    shadow = steps.assign(role="shadow")
    assert names(charts.steps_figure(pd.concat([steps, shadow]), LIGHT)) == ["lstm", "lstm (shadow)"]
    verdicts = pd.DataFrame([skill(symbol=name, verdict=name) for name in ("better", "no edge", "worse", "too early")])
    drawn = charts.symbols_figure(verdicts, DARK)
    assert names(drawn) == ["better", "no edge", "worse", "too early"]
    assert len({trace.marker.symbol for trace in drawn.data}) == 4


def test_the_pictures_of_operations_hold_their_rows() -> None:
    days = pd.date_range("2023-07-20", periods=2)
    counts = {"forecast": 5, "rejected": 1, "superseded": 0, "duration_ms_p50": 10.0, "duration_ms_p95": 20.0}
    drawn = charts.health_figure(pd.DataFrame({"day": days, **counts}), LIGHT)
    assert [list(trace.y) for trace in drawn.data] == [[5, 5], [1, 1], [0, 0], [10, 10], [20, 20]]
    furthest = {"furthest": "range", "furthest_score": 0.2, "furthest_threshold": 0.1}
    drifted = pd.DataFrame({"day": days, "kind": "input", "share_drifted": 0.5, "n_drifted": 1, "n": 2, **furthest})
    assert list(charts.drift_figure(drifted, LIGHT).data[0].y) == [0.5, 0.5]


def test_no_tick_is_finer_than_the_bars_where_there_are_one_or_two() -> None:
    covered = {"model_name": "lstm", "coverage_80": 0.8, "coverage_95": 0.9, "n": 10}
    for count, every in ((1, "M1"), (2, "M1"), (6, "M1"), (7, "M2"), (25, "M5")):
        months = pd.date_range("2023-08-01", periods=count, freq="MS")
        axis = charts.coverage_figure(pd.DataFrame({"month": months, **covered}), "lstm", LIGHT).layout.xaxis
        assert (axis.dtick, axis.tick0, axis.tickformat) == (every, months[0], "%b %Y")
        assert axis.range == (pd.Timestamp("2023-07-17"), months[-1] + pd.Timedelta(days=15))

    furthest = {"furthest": "range", "furthest_score": 0.2, "furthest_threshold": 0.1}
    share = {"kind": "input", "share_drifted": 0.5, "n_drifted": 1, "n": 2, **furthest}
    once = charts.drift_figure(pd.DataFrame({"day": [pd.Timestamp("2023-08-16")], **share}), LIGHT).layout.xaxis
    assert once.range == (pd.Timestamp("2023-08-02 12:00"), pd.Timestamp("2023-08-16 12:00"))

    account = {"strategy": "flat", "equity": 1.0, "gross_equity": np.nan}
    for freq, unit in (("1D", pd.Timedelta(days=1)), ("1h", pd.Timedelta(hours=1))):
        for count in (1, 2) if freq == "1D" else (2,):
            bars = pd.date_range("2023-08-16", periods=count, freq=freq, tz="UTC")
            first, last = equity_figure(pd.DataFrame({"bar": bars, **account}), LIGHT).layout.xaxis.range
            assert (last - first, last - bars[-1]) == (14 * unit, unit / 2)


# ---------------------------------------------------------------- sentences


@pytest.mark.parametrize(
    ("verdict", "said"),
    [
        ("better", "0.940 to 0.990, is entirely below 1"),
        ("no edge", "includes 1"),
        ("worse", "is entirely above 1"),
        ("too early", "8 blocks are needed"),
    ],
)
def test_every_verdict_is_a_sentence_with_its_numbers(verdict: str, said: str) -> None:
    row = skill(verdict=verdict)
    assert said in sentences.verdict(row)
    assert "So far 1,234 closes have come true, in 12 blocks of 28 days" in sentences.verdict(row)
    assert "covered 79.0% of them" in sentences.verdict(row)
    assert sentences.headline(skill(verdict="no edge")) == "No edge over the random walk"


def test_symbols_are_counted_beside_what_chance_would_give() -> None:
    assert sentences.among(["better", "no edge", "no edge", "worse"] * 10) == (
        "Of 40 symbols: 10 better, 20 no edge, 10 worse. Chance alone would call about 1.0 of them better "
        "and as many worse."
    )
    assert sentences.among(["too early"]) == "Of 1 symbol: 1 too early."


def test_what_flatters_a_record_is_said() -> None:
    assert sentences.after_the_fact(skill()) == ""
    assert sentences.after_the_fact(skill(n_backfilled=34)).startswith(
        "34 of the 1,234 scored forecasts were made after"
    )
    assert sentences.after_the_fact(skill(n_backfilled=1234)).startswith("All scored forecasts")
    [warning] = sentences.had_seen(
        [Seen("MSFT", "champion", "tickercast-lstm", "1", date(2018, 12, 31), date(2018, 1, 2))]
    )
    assert "trained on dates up to 2018-12-31" in warning


def test_the_table_shows_the_actual_closes_only_where_there_are_any() -> None:
    assert "actual" not in forecast_frame(vintage(actual=np.nan))
    table = forecast_frame(vintage(actual=[105.0, *[np.nan] * 9]))
    assert table["actual"].tolist() == ["105.00", *["–"] * 9]
    assert table["80% interval"].iloc[0] == "90.00 … 110.00"


# ---------------------------------------------------------------- the start


def test_the_server_is_bound_to_this_machine_and_phones_nobody() -> None:
    assert {
        "--server.address=127.0.0.1",
        "--server.port=8600",
        "--server.headless=true",
        "--browser.gatherUsageStats=false",
        "--server.fileWatcherType=none",
        "--server.showEmailPrompt=false",
    } <= set(launch.words(launch.Place(port=8600)))


def test_a_light_environment_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match="make setup-dev"):
        launch.require(Settings(), "127.0.0.1", 8501)


def test_a_port_that_is_taken_is_a_sentence() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        with pytest.raises(UsageError, match=f"--port {port + 1}"):
            launch.require(Settings(), "127.0.0.1", port)


def test_the_command_says_where_it_serves_and_becomes_the_server(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served: list[launch.Place] = []
    monkeypatch.setattr(launch, "require", lambda settings, host, port: launch.Place(host, port))
    monkeypatch.setattr(launch, "serve", served.append)
    done = CliRunner().invoke(app, ["dashboard", "--port", "8600"])
    assert (done.exit_code, served) == (0, [launch.Place("127.0.0.1", 8600)])
    assert "at http://127.0.0.1:8600" in done.stdout
    assert list(workspace.iterdir()) == []


def test_looker_prints_a_link_a_view(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TICKERCAST_WAREHOUSE", "bigquery://my-project/tickercast")
    done = CliRunner().invoke(app, ["dashboard", "--looker"])
    links = dict(line.split() for line in done.stdout.splitlines())
    assert links == report_urls("bigquery://my-project/tickercast")
    assert "predicted_prices" in links


def test_neither_the_command_line_nor_the_function_imports_what_draws() -> None:
    import subprocess

    script = "import sys, tickercast.cli, tickercast.engines; print({'streamlit', 'plotly'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


# ---------------------------------------------------------------- states


@pytest.fixture
def opened(workspace: Path, app_test: Any) -> Callable[..., Any]:
    """Runs the app without a browser."""
    import streamlit as st

    def run(page: str = "Forecast", **query: str) -> Any:
        st.cache_data.clear()
        st.cache_resource.clear()
        made = app_test.from_file(str(Path(launch.__file__).parent / "app.py"), default_timeout=60)
        made.query_params["page"] = page
        for name, value in query.items():
            made.query_params[name] = value
        return made.run()

    return run


def test_a_warehouse_that_is_not_there_shows_the_command_to_run(opened: Callable[..., Any], workspace: Path) -> None:
    shown = opened()
    assert "has not been set up" in shown.error[0].value
    assert "python src/main.py MSFT 2023-07-22" in shown.code[0].value
    assert not (workspace / ".tickercast").exists()


@pytest.mark.parametrize(
    ("table", "page", "title"),
    [
        ("ingestions", "Forecast", ""),
        ("drift", "Track record", "**Tables of the warehouse are missing or old.** duckdb"),
    ],
)
def test_a_warehouse_that_lacks_a_table_is_said_to_lack_it_and_not_to_be_empty(
    opened: Callable[..., Any], place: Place, monkeypatch: pytest.MonkeyPatch, table: str, page: str, title: str
) -> None:
    place.warehouse.close()
    with duckdb.connect(place.warehouse.url.removeprefix("duckdb://")) as connection:
        connection.sql(f"ALTER TABLE {table} RENAME TO elsewhere")
    monkeypatch.setenv("TICKERCAST_WAREHOUSE", place.warehouse.url)
    monkeypatch.setenv("TICKERCAST_BUCKET", place.store.url)
    shown = opened(page)
    assert (not shown.exception, not shown.code) == (True, True)
    [said] = [each.value for each in (*shown.error, *shown.markdown) if "of another release" in each.value]
    assert f"{table} is missing or changed" in said
    assert title in said


@pytest.mark.parametrize("page", ["Forecast", "Track record", "Operations"])
def test_an_empty_warehouse_shows_the_command_to_run(opened: Callable[..., Any], workspace: Path, page: str) -> None:
    from tests.support.place import empty_warehouse

    (workspace / ".tickercast").mkdir()
    (workspace / ".tickercast" / "warehouse.duckdb").write_bytes(empty_warehouse())
    shown = opened(page)
    assert not shown.exception
    assert "python src/main.py MSFT 2023-07-22" in shown.code[0].value


def test_forecasts_that_nothing_has_followed_yet_are_too_early_for_a_record(
    opened: Callable[..., Any], tmp_path: Path, make_bars: MakeBars, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Place(tmp_path)
    made.handle(made.upload("ohlc/2023-07-22/MSFT.csv", to_csv([make_bars()])))
    monkeypatch.setenv("TICKERCAST_WAREHOUSE", made.warehouse.url)
    assert "No close after a champion's forecast is stored yet" in opened("Track record").info[0].value
    shown = opened()
    assert not shown.exception
    assert shown.selectbox[0].options == ["MSFT"]
    assert any("is stored yet" in said.value for said in shown.markdown)


def test_closes_that_came_true_and_do_not_count_are_counted_and_explained(
    opened: Callable[..., Any], tmp_path: Path, make_bars: MakeBars, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Place(tmp_path)
    for day in (date(2023, 7, 7), date(2023, 7, 21)):
        known = replace(make_bars().until(day), simulated=True)
        made.handle(made.upload(f"ohlc/{day}/MSFT.csv", to_csv([known])))
    monkeypatch.setenv("TICKERCAST_WAREHOUSE", made.warehouse.url)
    said = "10 closes have come true; they do not count, since the bars were simulated."
    assert opened("Track record").info[0].value == f"The champion has no record: {said}"
    shown = opened()
    assert not shown.exception
    assert said in [each.value for each in shown.markdown]


def test_a_comparison_names_the_day_that_each_symbol_is_measured_from(
    opened: Callable[..., Any], tmp_path: Path, make_bars: MakeBars, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Place(tmp_path)
    for symbol, last in (("MSFT", date(2023, 7, 21)), ("AAPL", date(2023, 7, 14)), ("OLD", date(2022, 12, 15))):
        made.handle(made.upload(f"ohlc/{last}/{symbol}.csv", to_csv([make_bars(symbol, last=last)])))
    monkeypatch.setenv("TICKERCAST_WAREHOUSE", made.warehouse.url)
    recent, gone, longer = (
        opened(symbol="MSFT", **query)
        for query in ({"compare": "AAPL"}, {"compare": "OLD"}, {"compare": "OLD", "range": "1Y"})
    )
    assert "MSFT in percent from its close on 2023-07-21; AAPL, as a line, from its last before, on 2023-07-14." in (
        " ".join(said.value for said in recent.caption)
    )
    assert [said.value for said in gone.info] == [
        "OLD has no bars from 2023-04-21 to 2023-07-21 to compare: its last one before is of 2022-12-15. "
        "A longer range may reach it."
    ]
    assert not any("OLD" in said.value for said in gone.caption)
    assert any("from its last before, on 2022-12-15. Its forecast, dashed" in said.value for said in longer.caption)


def test_that_no_volume_is_reported_is_said_in_place_of_its_panel(
    opened: Callable[..., Any], tmp_path: Path, make_bars: MakeBars, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Place(tmp_path)
    known = make_bars("EURUSD=X")
    silent = replace(known, columns={**known.columns, "volume": np.zeros(len(known))})
    for bars in (silent, make_bars("MSFT")):
        made.handle(made.upload(f"ohlc/2023-07-22/{bars.symbol}.csv", to_csv([bars])))
    monkeypatch.setenv("TICKERCAST_WAREHOUSE", made.warehouse.url)
    said = "No volume is reported for these bars."
    for query, expected in (({"symbol": "EURUSD=X"}, 1), ({"symbol": "EURUSD=X", "panels": "RSI"}, 0), ({}, 0)):
        shown = opened(**({"symbol": "MSFT"} | query))
        assert not shown.exception
        assert [each.value for each in shown.caption].count(said) == expected


@pytest.fixture
def testing(tmp_path: Path, app_test: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Streamlit's own runner of pages, in an empty folder and without answers of other tests."""
    import streamlit

    streamlit.cache_data.clear()
    streamlit.cache_resource.clear()
    monkeypatch.chdir(tmp_path)
    return app_test


def test_the_banner_reads_alerts_and_changes_nothing(
    opened: Callable[..., Any], tmp_path: Path, make_bars: MakeBars, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Place(tmp_path)
    made.handle(made.upload("ohlc/2023-07-22/MSFT.csv", to_csv([make_bars()])))
    made.handle(made.upload("ohlc/2023-07-22/TORN.csv", b"Date,Open\n"))
    made.store.write(CHAMPION, b'{"name": "tickercast-lstm", "version": "1"}')
    monkeypatch.setenv("TICKERCAST_WAREHOUSE", made.warehouse.url)
    monkeypatch.setenv("TICKERCAST_BUCKET", made.store.url)

    def refused(*_: Any) -> list[str]:
        raise AssertionError("a page of the dashboard created tables or views")

    monkeypatch.setattr(DuckDBWarehouse, "provision", refused)
    for page in ("Overview", "Forecast", "Track record", "Operations"):
        shown = opened(page)
        assert not shown.exception
        said = " ".join(each.value for each in shown.markdown)
        assert "ohlc/2023" in said, "the rejected file is an open alert"
        assert "The forecast has expired" in said


def test_a_companion_can_be_picked(testing: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TICKERCAST_MODELS", "champion,ewma-t")
    App().forecast(["MSFT"], "2012-08-15", source="sample")

    def page() -> None:
        from tickercast.dashboard import forecast_page

        forecast_page.show()

    shown = testing.from_function(page).run(timeout=60)
    assert not shown.exception
    [model] = [box for box in shown.selectbox if box.label == "Model"]
    assert model.options == ["champion", "ewma-t"]
    assert "by tickercast-lstm version 1" in " ".join(element.value for element in shown.caption)
    picked = model.select("ewma-t").run(timeout=60)
    assert not picked.exception
    assert "by ewma-t version 1" in " ".join(element.value for element in picked.caption)


def test_the_chance_of_a_price_is_that_of_the_command(testing: Any) -> None:
    app = App()
    app.forecast(["MSFT"], "2012-08-15", source="sample")

    def page() -> None:
        from tickercast.dashboard import forecast_page

        forecast_page.show()

    shown = testing.from_function(page).run(timeout=60)
    assert not shown.exception
    [price] = shown.number_input
    lower = price.set_value(29.0).run(timeout=60)
    assert not lower.exception
    odds = app.odds("MSFT")
    chances = odds.odds.below(odds.log_return(29.0))
    said = " ".join(element.value for element in lower.caption)
    assert (
        f"By 2012-08-29: some low touches 29.00 with a chance of {percent(chances.touches[-1])}, some close lies below "
        f"it with {percent(chances.closes[-1])}, and the last one with {percent(chances.ends[-1])}."
    ) in said


def test_the_chance_of_a_price_is_in_the_prices_of_the_picture_after_a_split(
    opened: Callable[..., Any], make_bars: Callable[..., Bars]
) -> None:
    bars = make_bars("MSFT")
    halved = bars.frame.assign(
        **{name: bars.columns[name] / 2 for name in ("open", "high", "low", "close", "adj_close")}
    )
    early = bars.rows(0, len(bars) - 5)
    service = App()
    service.send(to_csv([early]), "MSFT", early.cutoff)
    before = service.odds("MSFT")
    service.send(to_csv([Bars("MSFT", halved)]), "MSFT", bars.cutoff)
    shown = opened(symbol="MSFT", cutoff=str(early.cutoff))
    assert not shown.exception
    [price] = shown.number_input
    level = price.value
    assert 0.5 < level / early.last_close < 0.55
    chances = before.odds.above(before.log_return(2 * level))
    said = " ".join(element.value for element in shown.caption)
    assert f"some high touches {level:,.2f} with a chance of {percent(chances.touches[-1])}," in said


@pytest.mark.parametrize(
    ("symbol", "start", "form", "typed", "named"),
    [
        ("BTC-USD", 28_000.0, "%.2f", 29_123.45, "29,123.45"),
        ("MSFT", 320.0, "%.2f", 330.555, "330.56"),
        ("EURUSD=X", 1.06, "%.4f", 1.0953, "1.0953"),
        ("DOGE-USD", 0.00012, "%.8f", 0.00012345, "0.00012345"),
    ],
)
def test_the_chance_is_that_of_the_price_in_the_box(
    app_test: Any, monkeypatch: pytest.MonkeyPatch, symbol: str, start: float, form: str, typed: float, named: str
) -> None:
    from tickercast.dashboard import state

    asked: list[float] = []

    def odds(symbol: str, cutoff: date, level: float, last_close: float) -> tuple[pd.DataFrame, list[Text]]:
        asked.append(level)
        chances = {"target_date": [pd.Timestamp("2023-08-04")], "ends": 0.1, "closes": 0.2, "touches": 0.3}
        return pd.DataFrame(chances), []

    def page(symbol: str, start: float) -> None:
        import pandas as pd

        from tickercast.dashboard import odds_section

        odds_section.show(symbol, pd.DataFrame({"last_close": [start], "cutoff": [pd.Timestamp("2023-07-21")]}))

    monkeypatch.setattr(state, "odds", odds)
    shown = app_test.from_function(page, args=(symbol, start), default_timeout=60).run()
    [box] = shown.number_input
    assert box.proto.format == form
    assert f"{asked[-1]:,.{form[2]}f}" in shown.caption[0].value
    box.set_value(typed).run()
    assert asked[-1] == float(named.replace(",", ""))
    assert f"touches {named} with a chance of 30%" in shown.caption[0].value


def test_what_is_read_beside_the_pointer_has_the_decimals_of_the_price() -> None:
    none, change = vintage().iloc[:0], figures.as_change(vintage(), 100.0)
    for fan, is_change, form in (
        (vintage(), False, ",.2f"),
        (vintage(last_close=1.06), False, ",.4f"),
        (change, True, "+.1%"),
    ):
        drawn = figures.forecast_figure(bars(), fan, none, LIGHT, overlays=["SMA 20"], is_change=is_change)
        assert drawn.layout.yaxis.hoverformat == form
        assert is_change or (drawn.layout.yaxis.exponentformat, drawn.layout.yaxis.separatethousands) == ("none", True)
        [overlay] = [trace for trace in drawn.data if trace.name == "SMA 20"]
        assert overlay.hovertemplate == "%{y}", "by the format of the axis"
    bins = pd.DataFrame({"close_from": [1.01], "close_to": [1.02], "sessions": [250]})
    histogram = figures.histogram_figure(bins, vintage(last_close=1.06), LIGHT)
    assert histogram.data[0].hovertemplate.startswith("%{customdata[0]:,.4f} to %{customdata[1]:,.4f}: ")


def test_the_portfolio_page_values_what_is_typed(testing: Any) -> None:
    App().forecast(["MSFT", "IBM"], "2012-08-15", source="sample")

    def page() -> None:
        from tickercast.dashboard import portfolio_page

        portfolio_page.show()

    shown = testing.from_function(page).run(timeout=60)
    assert not shown.exception
    [holdings] = shown.text_area
    assert holdings.value == "symbol,shares\nIBM,100\nMSFT,100"
    typed = holdings.set_value("symbol,shares\nMSFT,100").run(timeout=60)
    assert "## 1 holding worth 3,020.00 USD on 2012-08-15" in [element.value for element in typed.markdown]
    assert typed.metric[0].label == "Loss exceeded in 5% of sessions"
    wrong = holdings.set_value("symbol,shares\nORCL,1").run(timeout=60)
    [error] = wrong.error
    assert "ORCL has no stored forecast of days" in error.value


def test_what_makes_paths_uncertain_is_said_beside_odds_and_portfolios(
    testing: Any, tmp_path: Path, make_bars: MakeBars, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Place(tmp_path)
    made.handle(made.upload("events/MSFT.csv", b"date,session,known_at\n2023-07-27,before,2023-07-06\n"))
    made.handle(made.upload("ohlc/2023-07-22/MSFT.csv", to_csv([make_bars()])))
    monkeypatch.setenv("TICKERCAST_WAREHOUSE", made.warehouse.url)

    def forecast() -> None:
        from tickercast.dashboard import forecast_page

        forecast_page.show()

    def portfolio() -> None:
        from tickercast.dashboard import portfolio_page

        portfolio_page.show()

    for page in (forecast, portfolio):
        shown = testing.from_function(page).run(timeout=60)
        assert not shown.exception
        said = " ".join(element.value for element in shown.caption)
        assert "Results expected inside this horizon: MSFT 2023-07-27 (before the open)." in said
        assert "past sessions, and 1,250 were wanted: rare moves are less certain." in said


def test_the_portfolio_page_tells_the_age_of_the_forecasts_that_it_values(
    testing: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tickercast.dashboard import state

    app = App(now=lambda: datetime(2012, 8, 18, tzinfo=UTC))
    app.forecast(["MSFT", "IBM"], "2012-08-15", source="sample")
    app.forecast(["MSFT"], "2012-08-17", source="sample")
    monkeypatch.setattr(state, "_app", lambda: app)

    def page() -> None:
        from tickercast.dashboard import portfolio_page

        portfolio_page.show()

    def said(*symbols: str) -> str:
        holdings = "\n".join(["symbol,shares", *(f"{symbol},100" for symbol in symbols)])
        typed = testing.from_function(page).run(timeout=60).text_area[0].set_value(holdings).run(timeout=60)
        assert (not typed.exception, not typed.error) == (True, True)
        return " ".join(element.value for element in [*typed.markdown, *typed.caption])

    both, one = said("MSFT", "IBM"), said("MSFT")
    assert "USD on 2012-08-15" in both
    assert "0 of 2 forecasts fresh: 2 stale" in both
    assert "This is the newest cutoff that all share. Newer ones are stored for MSFT." in both
    assert "USD on 2012-08-17" in one
    assert "The forecast is fresh" in one
    assert "Newer ones" not in one


def test_the_portfolio_page_begins_with_symbols_of_one_cutoff_or_says_what_it_needs(testing: Any) -> None:
    def page() -> None:
        from tickercast.dashboard import portfolio_page

        portfolio_page.show()

    App().forecast(["BTCUSDT"], "2022-02-01T10", source="simulated", frequency="1h")
    shown = testing.from_function(page).run(timeout=60)
    assert (not shown.exception, not shown.error) == (True, True)
    assert "A portfolio needs forecasts of days, and none is stored." in shown.info[0].value
    App().forecast(["AAPL", "MSFT"], "2011-12-15", source="sample")
    App().forecast(["MSFT", "IBM"], "2012-08-15", source="sample")
    pytest.importorskip("streamlit").cache_data.clear()
    shown = testing.from_function(page).run(timeout=60)
    assert shown.text_area[0].value == "symbol,shares\nIBM,100\nMSFT,100"
    assert not shown.error


def test_that_a_baseline_is_served_is_said(testing: Any) -> None:
    app = App()
    app.provision()
    app.models.point(app.models.pointer().demoted("ewma-t", 0.98))
    decided = {
        "day": [date(2012, 8, 14)], "kind": ["promotion"], "decision": ["demoted"], "reason": ["worse"],
        "model_name": ["tickercast-lstm"], "champion_version": ["1"], "candidate_version": ["ewma-t"], "origins": [500],
        "pinball_ratio": [1.05], "created_at": [datetime(2012, 8, 14, tzinfo=UTC)],
    }  # fmt: skip
    app.tables.append("retrains", pd.DataFrame(decided), key="retrains/1")
    app.forecast(["MSFT"], "2012-08-15", source="sample")

    def page() -> None:
        from tickercast.dashboard import forecast_page

        forecast_page.show()

    shown = testing.from_function(page).run(timeout=60)
    assert not shown.exception
    [warning] = shown.warning
    said = "Made by a baseline: tickercast-lstm version 1 was shown to be worse than ewma-t on 2012-08-14, by 5.0%"
    assert warning.value.replace("\\", "").startswith(said)


def test_the_page_of_a_forecast_says_and_marks_its_results_day(
    workspace: Path, app_test: Any, make_bars: MakeBars, monkeypatch: pytest.MonkeyPatch
) -> None:
    import streamlit

    from tickercast.dashboard import state

    place = Place(workspace)
    place.handle(place.upload("events/MSFT.csv", b"date,session,known_at\n2023-07-27,before,2023-07-06\n"))
    place.handle(place.upload("ohlc/2023-07-22/MSFT.csv", to_csv([make_bars()])))
    monkeypatch.setenv("TICKERCAST_WAREHOUSE", f"duckdb://{workspace}/w.duckdb")
    state._app.clear()
    streamlit.cache_data.clear()  # of tests before
    page = app_test.from_file(str(Path(state.__file__).with_name("app.py")), default_timeout=60)
    page.query_params["symbol"] = "MSFT"
    page.run()
    assert not page.exception
    assert [said.value for said in page.info] == ["Results expected 2023-07-27 (before the open), inside this horizon."]
    state._app.clear()
    streamlit.cache_data.clear()
