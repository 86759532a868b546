"""Rolling origins: what a model sees, how it is scored, and how two are compared."""

import pickle
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from rich.console import Console
from tests.support.hourly import Memory, make_hours, without
from tests.support.trading import shipped_bundle

from tickercast import engines
from tickercast.domain.bars import Bars
from tickercast.domain.events import ResultsDays
from tickercast.domain.forecast import QUANTILES
from tickercast.domain.frequency import DAILY, HOURLY
from tickercast.domain.measures.evaluation import (
    BLOCK,
    _blocks,
    by_group,
    evaluation_report,
    loss_ratio,
    losses,
    ratio_interval,
    reliability,
    rolling_losses,
    rolling_origins,
    sample,
    summary,
    why_no_origin,
)
from tickercast.errors import NoRecentBars
from tickercast.jobs.training.evaluate import evaluate
from tickercast.jobs.training.leaks import leaks
from tickercast.models import catalogue
from tickercast.models.baselines import EwmaFhs, EwmaT, HistoricalSimulation, RandomWalk
from tickercast.models.onnx import OnnxModel
from tickercast.show.tables import report_table

MakeBars = Callable[..., Bars]
HORIZON = DAILY.horizon
FIRST, LAST = date(2022, 9, 1), date(2023, 5, 31)


class Fixed:
    """Answers the same quantiles everywhere, and remembers what it was shown."""

    name, version = "fixed", "1"
    horizon, min_sessions = HORIZON, 61

    def __init__(self, quantiles: Sequence[float]) -> None:
        self.quantiles = quantiles
        self.seen: list[Bars] = []

    def predict(self, series: Sequence[Bars]) -> NDArray[np.float64]:
        self.seen += series
        return np.broadcast_to(self.quantiles, (len(series), HORIZON, len(QUANTILES))).copy()


@pytest.fixture
def served() -> OnnxModel:
    return OnnxModel(shipped_bundle())


def test_origins_lie_in_the_range_every_so_many_sessions_with_ten_after_each(make_bars: MakeBars) -> None:
    bars = make_bars(sessions=400)
    found = rolling_origins(bars, FIRST, date(2023, 12, 31), every=10, needed=61, horizon=HORIZON)
    cutoffs = pd.DatetimeIndex(found.cutoffs)
    assert (cutoffs[0].date() - FIRST).days < 15
    assert set(np.diff(found.positions)) == {10}
    assert found.positions[-1] + HORIZON <= len(bars) - 1
    assert len(bars) - 1 - found.positions[-1] < HORIZON + 10


@pytest.mark.parametrize(
    ("first", "last", "needed", "every", "why"),
    [
        ("2023-09-01", "2023-09-29", 61, 10, "MSFT ends on 2023-07-21"),
        ("2020-01-06", "2020-02-07", 61, 10, "MSFT begins on 2021-12-16"),
        ("2022-09-03", "2022-09-04", 61, 10, "MSFT has no session on these dates"),
        ("2022-01-03", "2022-01-07", 20, 10, "MSFT has 16 sessions up to the last of these dates, and 61 were needed"),
        ("2022-06-01", "2022-06-30", 251, 10, "MSFT has 135 sessions up to the last of these dates, and 251 were"),
        ("2023-07-17", "2023-07-21", 61, 10, "MSFT has 4 sessions after 2023-07-17, and 10 were needed"),
        (
            "2022-12-08",
            "2022-12-13",
            249,
            10,
            "MSFT has no session on these dates, among every 10 of them, with 249 up",
        ),
    ],
)
def test_where_there_is_no_origin_the_reason_is_the_true_one(
    make_bars: MakeBars, first: str, last: str, needed: int, every: int, why: str
) -> None:
    bars, reach = make_bars(sessions=400), (date.fromisoformat(first), date.fromisoformat(last))
    steps = {"every": every, "needed": needed, "horizon": HORIZON}
    assert not len(rolling_origins(bars, *reach, **steps).positions)
    assert why_no_origin(bars, *reach, **steps).startswith(why)


def test_hours_are_counted_in_the_reason_why_there_is_no_origin() -> None:
    bars, day = without(make_hours(hours=200), 110, 113), date(2022, 1, 11)
    steps = {"every": 1, "needed": 61, "horizon": 24}
    assert why_no_origin(bars, day, day, **steps) == "BTCUSDT has 7 hours after 2022-01-11, and 24 were needed"
    day = date(2022, 1, 4)
    said = "BTCUSDT has 48 hours up to the last of these dates, and 61 were needed"
    assert why_no_origin(bars, day, day, **steps) == said


def test_origins_begin_at_another_session_for_each_symbol(make_bars: MakeBars) -> None:
    bars = make_bars(sessions=400)
    names = [f"A{chr(65 + n)}" for n in range(26)]
    found = [
        rolling_origins(Bars(name, bars.frame), FIRST, LAST, every=10, needed=61, horizon=HORIZON) for name in names
    ]
    starts = {int(origins.positions[0]) % 10 for origins in found}
    assert len(starts) > 6
    counts = {len(origins.positions) for origins in found}
    assert max(counts) - min(counts) <= 1
    one = rolling_origins(bars, FIRST, FIRST, every=10, needed=61, horizon=HORIZON)
    assert len(one.positions) == 1


def test_classes_and_results_windows_have_rows_of_their_own(make_bars: MakeBars) -> None:
    stock, coin, currency = (
        make_bars(sessions=400),
        make_bars("BTC-USD", sessions=400),
        make_bars("JPY=X", sessions=400),
    )
    days = stock.columns["session_date"]
    results = {"MSFT": ResultsDays.of("MSFT", [(str(day), "after", f"{day}T21:00") for day in days[150::40]])}
    models = {m.name: m for m in (RandomWalk(), EwmaT())}
    report = evaluation_report(rolling_losses(models, [stock, coin, currency], FIRST, LAST, results=results))
    assert set(report["by_class"]) == {"stock", "crypto", "fx"}
    assert set(report["results_window"]) == {"inside", "outside"}
    windows = [row["n"] for row in report["results_window"].values()]
    assert sum(windows) == report["by_class"]["stock"]["n"]
    assert len(report["by_class"]["fx"]["sp_vs_ewma_t"]) == 3


def test_a_model_that_adapts_is_brought_towards_what_holds(make_bars: MakeBars) -> None:
    class Narrow(RandomWalk):
        adapts = True

        def predict(self, series: Sequence[Bars]) -> Any:
            return 0.5 * super().predict(series)

        def predict_at(self, bars: Bars, at: Any) -> Any:
            return self.predict([bars.rows(0, row + 1) for row in at])

        def informed(self, results: object, widths: object = None) -> "Narrow":
            return self

        def results_lift(self, bars: Bars, at: Any) -> Any:
            return np.zeros((len(at), self.horizon))

    class Rigid(Narrow):
        adapts = False

    series = [make_bars(name, sessions=800, seed=n) for n, name in enumerate(("MSFT", "AAPL", "IBM"))]
    tables = rolling_losses({"narrow": Narrow(), "rigid": Rigid()}, series, FIRST, LAST)
    held = {name: summary(table)["coverage_80"] for name, table in tables.items()}
    assert held["rigid"] + 0.1 < held["narrow"] < 0.85


def test_origins_keep_their_grid_where_a_history_is_too_short_for_the_first_ones(make_bars: MakeBars) -> None:
    long, short = make_bars(sessions=400), make_bars(sessions=260)
    every = rolling_origins(long, FIRST, LAST, every=10, needed=61, horizon=HORIZON).cutoffs
    some = rolling_origins(short, FIRST, LAST, every=10, needed=120, horizon=HORIZON).cutoffs
    assert 0 < len(some) < len(every)
    assert set(some) <= set(every)


def test_a_model_sees_nothing_after_its_origin(make_bars: MakeBars) -> None:
    model = Fixed(np.zeros(len(QUANTILES)))
    rolling_losses({"fixed": model}, [make_bars()], FIRST, LAST)
    cutoffs = rolling_origins(make_bars(), FIRST, LAST, every=10, needed=61, horizon=HORIZON).cutoffs.tolist()
    assert [known.cutoff for known in model.seen] == cutoffs


@pytest.mark.parametrize("model", ["served", "ewma-t", "historical-simulation", "random-walk"])
def test_another_future_changes_no_forecast(make_bars: MakeBars, served: OnnxModel, model: str) -> None:
    judged = (
        served if model == "served" else {m.name: m for m in (EwmaT(), HistoricalSimulation(), RandomWalk())}[model]
    )
    bars = make_bars(sessions=600)
    found = rolling_origins(bars, FIRST, LAST, every=10, needed=251, horizon=HORIZON)
    frame = bars.frame.copy()
    after = frame.index > found.positions[0]
    prices = ["open", "high", "low", "close", "adj_close"]
    frame.loc[after, prices] = frame.loc[after, prices] * 3
    shifted = rolling_origins(Bars("MSFT", frame), FIRST, LAST, every=10, needed=251, horizon=HORIZON)
    np.testing.assert_array_equal(judged.predict(found.known()[:1]), judged.predict(shifted.known()[:1]))


def test_ewma_fhs_learns_from_nothing_after_its_date(make_bars: MakeBars) -> None:
    bars = make_bars(sessions=600)
    frame = bars.frame.copy()
    frame.loc[frame["session_date"] >= pd.Timestamp(FIRST), "adj_close"] *= 2
    through = date(2022, 8, 31)
    expected = EwmaFhs.fit([bars], through).quantiles
    np.testing.assert_array_equal(EwmaFhs.fit([Bars("MSFT", frame)], through).quantiles, expected)


def test_losses_are_those_worked_by_hand(make_bars: MakeBars) -> None:
    bars = make_bars()
    found = rolling_origins(bars, FIRST, FIRST, every=10, needed=61, horizon=HORIZON)
    quantiles = np.array(np.broadcast_to(np.linspace(-0.12, 0.12, 13), (1, HORIZON, 13)))
    row = losses(found, quantiles).iloc[3]
    unit = found.sigma60[0] * 2
    actual = found.actual[0, 3]
    pinball = [
        max(level * (actual - q), (level - 1) * (actual - q))
        for level, q in zip(QUANTILES, quantiles[0, 3], strict=True)
    ]
    assert (row["symbol"], row["cutoff"].date(), row["step"]) == ("MSFT", FIRST, 4)
    assert row["sp"] == pytest.approx(np.mean(pinball) / unit)
    assert row["w80"] == pytest.approx((0.16 + 10 * max(abs(actual) - 0.08, 0)) / unit)
    assert row["w95"] == pytest.approx((0.24 + 40 * max(abs(actual) - 0.12, 0)) / unit)
    assert bool(row["coverage_80"]) == (abs(actual) <= 0.08)
    assert row["error"] == pytest.approx(actual)


def test_the_random_walk_is_as_good_as_naive_and_as_itself(make_bars: MakeBars) -> None:
    tables = rolling_losses(
        {"random-walk": RandomWalk(), "other": Fixed(np.linspace(-0.1, 0.1, 13))}, [make_bars()], FIRST, LAST
    )
    made = summary(tables["random-walk"])
    assert made["mae_vs_naive"] == made["rmse_vs_naive"] == 1
    assert made["n"] == len(tables["other"]) / HORIZON
    assert loss_ratio(tables["random-walk"], tables["random-walk"], "sp") == (1, 1, 1)


def test_a_gaussian_walk_is_covered_as_often_as_the_cone_says(make_bars: MakeBars) -> None:
    series = [make_bars(f"S{seed}", seed=seed, sessions=600) for seed in range(20)]
    table = rolling_losses({"random-walk": RandomWalk()}, series, FIRST, LAST)["random-walk"]
    assert summary(table)["coverage_80"] == pytest.approx(0.8, abs=0.03)
    np.testing.assert_allclose(reliability(table), QUANTILES, atol=0.04)


def test_the_interval_of_a_ratio_covers_it_and_narrows_with_data() -> None:
    random = np.random.default_rng(1)
    few, many = ((random.gamma(4, size=(n, n)), random.gamma(4, size=(n, n))) for n in (4, 40))
    for own, other in (few, many):
        ratio, low, high = ratio_interval(own, other)
        assert low < ratio < high
    assert np.diff(ratio_interval(*many)[1:]) < np.diff(ratio_interval(*few)[1:]) / 3


def test_fewer_than_five_blocks_give_no_interval_however_many_symbols_they_have() -> None:
    for shape in ((1, 1), (100, 1), (100, 4)):
        assert ratio_interval(np.ones(shape), np.full(shape, 2.0)) == (0.5, 0.0, np.inf)


def test_the_interval_of_few_blocks_holds_the_true_ratio() -> None:
    """The symbols of a block share one observation, so that few blocks prove little."""
    random = np.random.default_rng(3)
    for blocks in (5, 10, 25):
        held = 0
        for _ in range(200):
            shared = random.gamma(8, 1 / 8, size=blocks)
            own = shared * random.gamma(20, 1 / 20, size=(50, blocks))
            _, low, high = ratio_interval(own, np.ones_like(own), draws=300)
            held += low <= 1 <= high
        assert held >= 0.88 * 200, blocks


def test_a_median_that_stays_says_no_direction(make_bars: MakeBars) -> None:
    tables = rolling_losses({"random-walk": RandomWalk()}, [make_bars()], FIRST, LAST)
    assert tables["random-walk"]["direction"].isna().all()
    made = summary(tables["random-walk"])
    assert made["direction_stated"] == 0
    assert not {"direction", "always_up"} & set(made)


def test_always_saying_up_is_measured_on_the_closes_whose_direction_is_stated(make_bars: MakeBars) -> None:
    class Rising(RandomWalk):
        def predict(self, series: Sequence[Bars]) -> Any:
            rises = np.array([bars.symbol == "MSFT" for bars in series])
            return super().predict(series) + 0.001 * rises[:, None, None]

    series = [make_bars("MSFT"), make_bars("EURUSD=X", seed=2)]
    tables = rolling_losses({"rising": Rising(), "random-walk": RandomWalk()}, series, FIRST, LAST)
    report = evaluation_report(tables)
    stock = tables["rising"][tables["rising"]["symbol"] == "MSFT"]
    made = report["overall"]
    assert made["direction"] == made["always_up"] == (stock["naive_error"] > 0).mean()
    assert made["direction_stated"] == len(stock) / len(tables["rising"])
    assert report["by_class"]["stock"]["direction_stated"] == 1
    assert "always_up" not in report["by_class"]["fx"]
    spelt = Console(width=200)
    with spelt.capture() as shown:
        spelt.print(report_table(report))
    assert f"{made['direction']:.3f} (up {made['always_up']:.3f}, of {made['direction_stated']:.0%})" in shown.get()
    assert "none stated \n" in shown.get()


def test_the_interval_knows_that_errors_of_one_day_are_one_error() -> None:
    day = np.random.default_rng(2).gamma(4, size=(1, 20))
    alike = np.repeat(day, 50, axis=0)
    low, high = ratio_interval(alike, np.full_like(alike, alike.mean()))[1:]
    alone_low, alone_high = ratio_interval(day, np.full_like(day, day.mean()))[1:]
    assert high - low == pytest.approx(alone_high - alone_low, rel=0.2)


def test_tables_of_other_origins_are_not_compared(make_bars: MakeBars) -> None:
    one, other = (
        rolling_losses({"random-walk": RandomWalk()}, [make_bars()], FIRST, LAST, every=n)["random-walk"]
        for n in (10, 5)
    )
    with pytest.raises(ValueError, match="origins differ"):
        loss_ratio(one, other, "sp")


def test_the_report_has_the_keys_of_its_contract(make_bars: MakeBars) -> None:
    models = {"judged": Fixed(np.linspace(-0.1, 0.1, 13)), "random-walk": RandomWalk(), "ewma-t": EwmaT()}
    made = evaluation_report(rolling_losses(models, [make_bars()], FIRST, LAST))
    assert made["model"] == "judged"
    assert made["symbols"] == ["MSFT"]
    assert made["first_cutoff"] < made["last_cutoff"]
    overall = {"n", "sp", "w80", "w95", "coverage_80", "coverage_95", "mae_vs_naive", "rmse_vs_naive"}
    assert overall <= set(made["overall"])
    assert {baseline: set(losses) for baseline, losses in made["ratios"].items()} == {
        "random-walk": {"sp", "w95"},
        "ewma-t": {"sp", "w95"},
    }
    assert set(made["by_year"]) == {"2022", "2023"}
    assert list(made["by_step"]) == [str(step) for step in range(1, 11)]
    assert all(low <= ratio <= high for losses in made["ratios"].values() for ratio, low, high in losses.values())


def test_the_dates_of_hourly_origins_are_the_days_on_which_they_open() -> None:
    bars = make_hours(hours=24 * 30, first=date(2022, 12, 10))
    models = {model.name: model for model in catalogue.hourly_baselines()}
    tables = rolling_losses(models, [bars], date(2022, 12, 30), date(2022, 12, 31), every=24)
    made = evaluation_report(tables, HOURLY)
    assert set(tables["ewma-t"]["cutoff"].astype(str)) == {"2022-12-31", "2023-01-01"}
    assert (made["frequency"], made["first_cutoff"], made["last_cutoff"]) == ("1h", "2022-12-30", "2022-12-31")
    assert list(made["by_year"]) == ["2022"]


def test_years_add_up_to_the_whole(make_bars: MakeBars) -> None:
    table = rolling_losses({"random-walk": RandomWalk()}, [make_bars()], FIRST, LAST)["random-walk"]
    parts = by_group(table, "year").values()
    assert sum(part["n"] for part in parts) == summary(table)["n"]
    weighed = sum(part["sp"] * part["n"] for part in parts) / summary(table)["n"]
    assert weighed == pytest.approx(summary(table)["sp"])


def drawn(series: Sequence[Bars], windows: int | None) -> dict[str, set[tuple[str, pd.Timestamp]]]:
    """The origins that each of two models was held to."""
    models = {"random-walk": RandomWalk(), "fixed": Fixed(np.linspace(-0.1, 0.1, 13))}
    tables = rolling_losses(models, series, FIRST, LAST, windows=windows)
    return {name: set(zip(table["symbol"], table["cutoff"], strict=True)) for name, table in tables.items()}


def test_a_sample_is_the_same_for_every_model_and_whatever_the_order_of_symbols(make_bars: MakeBars) -> None:
    series = [make_bars(f"S{seed}", seed=seed) for seed in range(4)]
    found = drawn(series, 12)
    assert found["random-walk"] == found["fixed"]
    assert len(found["fixed"]) == 12
    assert drawn(series[::-1], 12) == drawn(series, 12) == found
    assert {symbol for symbol, _ in found["fixed"]} == {"S0", "S1", "S2", "S3"}


def test_a_smaller_sample_is_a_part_of_a_greater_one_and_the_greatest_is_everything(make_bars: MakeBars) -> None:
    series = [make_bars(f"S{seed}", seed=seed) for seed in range(3)]
    few, more, every = (drawn(series, windows)["fixed"] for windows in (5, 20, None))
    assert few < more < every
    assert drawn(series, 10_000)["fixed"] == every


def test_a_sample_holds_each_origin_with_what_followed_it(make_bars: MakeBars) -> None:
    whole = rolling_origins(make_bars(), FIRST, LAST, every=10, needed=61, horizon=HORIZON)
    (part,) = sample([whole], 7)
    at = np.searchsorted(whole.positions, part.positions)
    assert len(at) == 7
    np.testing.assert_array_equal(whole.actual[at], part.actual)
    np.testing.assert_array_equal(whole.sigma60[at], part.sigma60)
    np.testing.assert_array_equal(whole.cutoffs[at], part.cutoffs)


def test_a_sample_has_an_interval_though_symbols_and_blocks_are_nearly_empty(make_bars: MakeBars) -> None:
    series = [make_bars(f"S{seed}", seed=seed) for seed in range(9)]
    models = {"random-walk": RandomWalk(), "ewma-t": EwmaT()}
    for windows in (9, 15):
        tables = rolling_losses(models, series, FIRST, LAST, windows=windows)
        ratio, low, high = loss_ratio(tables["random-walk"], tables["ewma-t"], "sp")
        assert 0.5 < low <= ratio <= high < 2


@pytest.mark.parametrize("share", [1, 0.5, 0.05])
def test_blocks_are_of_thirty_sessions_however_few_are_drawn(share: float) -> None:
    dates = pd.bdate_range("2020-01-01", periods=600)
    kept = np.random.default_rng(4).random(600) < share
    kept[0] = True
    blocks = _blocks(pd.Series(dates[kept]))
    np.testing.assert_array_equal(blocks, pd.factorize(np.arange(600)[kept] // BLOCK)[0])


def test_progress_is_reported_within_a_symbol_and_ends_at_its_total(make_bars: MakeBars) -> None:
    reported: list[tuple[int, int]] = []
    models = {"random-walk": RandomWalk(), "ewma-t": EwmaT()}
    tables = rolling_losses(models, [make_bars()], FIRST, LAST, on_progress=lambda *step: reported.append(step))
    total = 2 * len(tables["ewma-t"]) // HORIZON
    assert reported[-1] == (total, total)
    assert len(reported) > 2
    assert reported == sorted(reported)


def test_constant_prices_are_left_out(make_bars: MakeBars) -> None:
    prices = dict.fromkeys(("open", "high", "low", "close", "adj_close"), 1.0)
    peg = Bars("PEG", make_bars().frame.assign(**prices))
    assert rolling_losses({"random-walk": RandomWalk()}, [peg], FIRST, LAST)["random-walk"].empty


class Reader:
    """Answers how many results days it is told of: those that are known at the origin, or all."""

    name, horizon, min_sessions, adapts = "reader", HORIZON, 61, False

    def __init__(self, version: str, *, looks_ahead: bool, days: Any = None) -> None:
        self.version, self.looks_ahead, self.days = version, looks_ahead, days

    def informed(self, results: Any, widths: object = None) -> "Reader":
        return Reader(self.version, looks_ahead=self.looks_ahead, days=results["MSFT"])

    def predict(self, series: Sequence[Bars]) -> Any:
        return np.concatenate([self.predict_at(bars, np.array([len(bars) - 1])) for bars in series])

    def predict_at(self, bars: Bars, at: Any) -> Any:
        [close] = bars.frequency.closes([bars.symbol], np.zeros(1, np.intp), bars.ends[at])
        days = self.days if self.looks_ahead else self.days.known_by(close)
        return np.full((len(at), HORIZON, len(QUANTILES)), len(days) / 1000)

    def results_lift(self, bars: Bars, at: Any) -> Any:
        return np.zeros((len(at), HORIZON))


def test_a_model_that_reads_results_days_of_later_is_found(make_bars: MakeBars) -> None:
    bars = make_bars()
    closes = bars.frequency.closes(["MSFT"], np.zeros(len(bars), np.intp), bars.ends)
    days = [(str(close.astype("datetime64[D]")), "unknown", str(close + late)) for close in closes for late in (0, 1)]
    models = [Reader("1", looks_ahead=False), Reader("2", looks_ahead=True)]
    found = leaks(
        Memory([bars]),
        ["MSFT"],
        date(2023, 5, 1),
        date(2023, 6, 30),
        build=lambda known: models,
        results={"MSFT": ResultsDays.of("MSFT", days)},
    )
    assert found["reader"] == 0
    assert found["reader 2"] > 0


def test_a_range_without_an_origin_is_a_sentence(tmp_path: Path, price_folder: Callable[..., Path]) -> None:
    source = engines.market_data(str(price_folder(sessions=600)))
    with pytest.raises(NoRecentBars, match="Name other dates"):
        evaluate(
            source,
            ["MSFT"],
            date(2023, 7, 20),
            date(2023, 7, 21),
            models={"random-walk": RandomWalk()},
            baselines=catalogue.evaluation_baselines,
        )


def test_forecasts_that_are_made_elsewhere_are_the_same(make_bars: MakeBars) -> None:
    series = [make_bars("MSFT"), make_bars("AAPL", seed=3)]
    models = {"random-walk": RandomWalk(), "ewma-t": EwmaT()}
    sent: list[tuple[str, str]] = []
    seen: list[tuple[int, int]] = []

    def elsewhere(work, models, found):
        for origins in found:
            for model in models:
                sent.append((model.name, origins.bars.symbol))
                yield pickle.loads(pickle.dumps(work(*pickle.loads(pickle.dumps((model, origins))))))

    here = rolling_losses(models, series, FIRST, LAST)
    there = rolling_losses(models, series, FIRST, LAST, spread=elsewhere, on_progress=lambda *done: seen.append(done))
    assert len(sent) == 4
    assert seen[-1][0] == seen[-1][1] > 0
    for name in models:
        pd.testing.assert_frame_equal(here[name], there[name])
