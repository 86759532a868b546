"""A stretch of days in which much happens: each forecast is scored once it comes true, and again where that changes.

The stored scores are compared with what a query finds in the final tables, and with a computation of its own.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from numpy.typing import NDArray
from tests.support.place import Place

from tickercast.backends.warehouse.sql import read_rewrites
from tickercast.config import resource
from tickercast.domain import objects
from tickercast.domain.bars import Bars
from tickercast.domain.calendar import sessions_between
from tickercast.domain.files.price_files import to_parquet
from tickercast.domain.forecast import QUANTILES, Role, Served
from tickercast.jobs.serving.past_models import Lineup
from tickercast.ports import ObjectFinalized, Warehouse

SYMBOLS = ("MSFT", "AAPL", "IBM")
SIMULATED = "IBM"
SESSIONS, DAYS, WINDOW = 180, 40, 130
PRICES = ["open", "high", "low", "close", "adj_close"]
PAIR = ["symbol", "frequency", "role", "model_name", "cutoff", "step", "simulated"]
BLOCK = ["model_name", "model_version", "role", "symbol", "frequency", "step", "block", "month", "has_scale"]
COUNTS = ["n", "backfilled", "inside_80", "inside_95", "direction_right", "direction_stated"]
LOSSES = ["loss", "walk_loss", "error", "walk_error"]
LEVELS = {0.025: "close_lo_95", 0.1: "close_lo_80", 0.5: "close_median", 0.9: "close_hi_80", 0.975: "close_hi_95"}
NEAR = 2e-6
"""The difference that a score may have: a bar that differs by less than 1e-6 is no other bar."""


class Model:
    """A cone round a median that drifts by a share a session."""

    horizon, min_sessions, version = 10, 100, "1"

    def __init__(self, name: str, drift: float) -> None:
        self.name, self._drift = name, drift

    def predict(self, series: Sequence[Bars]) -> NDArray[np.float64]:
        steps = np.arange(1, self.horizon + 1)[:, None]
        cone = self._drift * steps + np.linspace(-0.05, 0.05, len(QUANTILES)) * np.sqrt(steps)
        return np.broadcast_to(cone, (len(series), *cone.shape)).copy()


SERVED = [Served(Model("lstm", 0.004), Role.CHAMPION), Served(Model("random-walk", 0.0), Role.BASELINE)]


class Market:
    """Series with splits, dividends and corrections as time goes on."""

    def __init__(self, chance: np.random.Generator) -> None:
        self._chance = chance
        self._bars = {symbol: self._walk() for symbol in SYMBOLS}
        self._basis = dict.fromkeys(SYMBOLS, 1.0)

    def _walk(self) -> pd.DataFrame:
        close = 100 * np.exp(np.cumsum(self._chance.normal(0, 0.02, SESSIONS)))
        prices = {"open": close, "high": close * 1.2, "low": close * 0.8, "close": close, "adj_close": close * 0.9}
        days = pd.DatetimeIndex(sessions_between("MSFT", date(2022, 1, 1), date(2023, 7, 21))[-SESSIONS:])
        return pd.DataFrame({"session_date": days, **prices, "volume": 1e6})

    def live_through(self, day: int) -> None:
        """Let a session pass, after which the past may look different."""
        for symbol, bars in self._bars.items():
            if self._chance.random() < 0.05:
                self._basis[symbol] *= self._chance.choice([0.25, 0.5, 2])
            if self._chance.random() < 0.15:
                bars.loc[self._chance.integers(day - 15, day), "close"] *= 1 + self._chance.normal(0, 0.01)
            if self._chance.random() < 0.1:
                bars["adj_close"] *= 0.99

    def known(self, day: int) -> list[Bars]:
        """The bars of most symbols, up to a session."""
        present = [symbol for symbol in SYMBOLS if symbol == SYMBOLS[0] or self._chance.random() < 0.95]
        return [self._seen(symbol, day) for symbol in present]

    def _seen(self, symbol: str, day: int) -> Bars:
        bars = self._bars[symbol].iloc[day - WINDOW : day].copy()
        bars[PRICES] *= self._basis[symbol]
        bars["volume"] /= self._basis[symbol]
        return replace(Bars(symbol, bars), simulated=symbol == SIMULATED)


def sent(place: Place, chance: np.random.Generator) -> list[ObjectFinalized]:
    """A file a day: most for the newest session, some a backfill, and some a request for an old date."""
    market, events = Market(chance), []
    for number, day in enumerate(range(SESSIONS - DAYS, SESSIONS)):
        market.live_through(day)
        known, kind = market.known(day), chance.random()
        dates = known[0].columns["session_date"].astype("datetime64[D]")
        as_of: date = dates[-1 if kind < 0.7 else -21 if kind < 0.85 else -12].item()
        symbols = [bars.symbol for bars in known]
        name = objects.backfill(as_of, symbols) if 0.7 <= kind < 0.85 else objects.batch(as_of, number)
        event = place.upload(name, to_parquet(known))
        events.append(replace(event, written_at=datetime.combine(dates[-1].item(), time(22), UTC)))
    return events


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """A warehouse after all files have been handled, some of them late, some twice."""
    chance, place = np.random.default_rng(11), Place(tmp_path_factory.mktemp("scores"))
    place.now, place.served = datetime(2023, 1, 1, tzinfo=UTC), lambda: SERVED
    place.past = lambda as_of: Lineup(SERVED, champion_has_seen=as_of.day % 2 == 0)
    events = sent(place, chance)
    late = np.where(chance.random(DAYS) < 0.3, chance.integers(0, 15, DAYS), 0)
    order = np.argsort(np.arange(DAYS) + late, kind="stable")
    for number in np.insert(order, 20, chance.choice(order[:20], 6)):
        place.now = max(place.now, events[number].written_at)
        outcome = place.handle(events[number])
        assert not outcome.failures
    return place.warehouse


def of_migration(warehouse: Warehouse, table: str) -> pd.DataFrame:
    return warehouse.query(read_rewrites(resource("sql"))[table])


def worked_out(warehouse: Warehouse) -> pd.DataFrame:
    """The scores, from the definitions and from plain rows."""
    order = ["live", "written_at", "generation"]
    made = warehouse.read("forecasts")
    made = made.assign(live=made["origin"] != "backfill", backfilled=made["created_at"] > made["target_at"])
    made = made.assign(in_time=~made["backfilled"]).sort_values(["live", "in_time", *order[1:]])
    made = made.drop_duplicates(PAIR, keep="last")
    bars = warehouse.read("prices")
    bars = bars.assign(live=~bars["object"].str.contains("backfill")).sort_values(order)
    closes = bars.drop_duplicates(["symbol", "session_date"], keep="last").set_index(["symbol", "session_date"])[
        "close"
    ]
    ends = (closes.reindex(pd.MultiIndex.from_frame(made[["symbol", day]])) for day in ("cutoff", "target_date"))
    first, last = (found.to_numpy() for found in ends)
    made = made.assign(move=np.log(last / first))[~np.isnan(first * last)]
    actual = made["last_close"] * np.exp(made["move"])
    losses = []
    for level, name in LEVELS.items():
        missed = made["move"] - np.log(made[name] / made["last_close"])
        losses.append(np.where(missed > 0, level * missed, (level - 1) * missed))
        made[f"pinball_{round(1000 * level):03d}"] = losses[-1]
    made = made.assign(
        loss=np.mean(losses, axis=0),
        actual_close=actual,
        absolute_error=(actual - made["close_median"]).abs(),
        walk_error=(actual - made["last_close"]).abs(),
        inside_80=actual.between(made["close_lo_80"], made["close_hi_80"]),
        inside_95=actual.between(made["close_lo_95"], made["close_hi_95"]),
        direction_right=(np.sign(made["close_median"] - made["last_close"]) == np.sign(actual - made["last_close"]))
        .astype("boolean")
        .where(made["close_median"] != made["last_close"]),
    )
    twins = [name for name in PAIR if name not in ("role", "model_name")]
    walk = made[made["model_name"] == "random-walk"]
    walk = walk.assign(walk_loss=walk["loss"], scale=np.log(walk["close_hi_80"] / walk["close_lo_80"]))
    return made.merge(walk[[*twins, "walk_loss", "scale"]], on=twins, how="left")


def in_blocks(scores: pd.DataFrame) -> pd.DataFrame:
    counted = scores[~scores["simulated"] & ~scores["model_has_seen"]]
    relative = {"loss": counted["loss"], "walk_loss": counted["walk_loss"]}
    relative |= {"error": counted["absolute_error"] / counted["last_close"]}
    relative |= {"walk_error": counted["walk_error"] / counted["last_close"]}
    counted = counted.assign(
        block=(counted["cutoff"] - pd.Timestamp("1970-01-01")).dt.days // 28,
        month=counted["target_date"].dt.to_period("M").dt.to_timestamp().astype("datetime64[us]"),
        has_scale=counted["scale"] > 0,
        n=1,
        direction_stated=counted["direction_right"].notna(),
        **{name: values / counted["scale"] for name, values in relative.items()},
    )
    return counted.groupby(BLOCK, as_index=False)[[*COUNTS, *LOSSES]].sum()


def assert_same(seen: pd.DataFrame, wanted: pd.DataFrame, key: Sequence[str], names: Sequence[str]) -> None:
    keyed = [
        rows.astype(dict.fromkeys(rows.columns.intersection(["cutoff", "month"]), "datetime64[us]")).sort_values(
            list(key), ignore_index=True
        )[[*key, *names]]
        for rows in (seen, wanted)
    ]
    pd.testing.assert_frame_equal(*keyed, check_dtype=False, rtol=NEAR, atol=NEAR)


def relative(scores: pd.DataFrame) -> pd.DataFrame:
    """Scores whose errors are shares of the last close, as their tolerance is."""
    errors = ("absolute_error", "walk_error")
    return scores.assign(**{name: scores[name] / scores["last_close"] for name in errors})


SCORE = [
    *("target_date", "model_version", "last_close", "close_median", "actual_close", "absolute_error", "walk_error"),
    *("pinball_025", "pinball_100", "pinball_500", "pinball_900", "pinball_975", "loss", "walk_loss", "scale"),
    *("inside_80", "inside_95", "direction_right", "backfilled", "object", "generation", "written_at", "created_at"),
    *("origin", "model_has_seen"),
]


def test_the_stretch_has_what_makes_scores_change(warehouse: Warehouse) -> None:
    stored = warehouse.read("score_revisions")
    assert stored["revision"].max() > 1
    for name in ("backfilled", "inside_80", "inside_95", "direction_right", "simulated", "model_has_seen"):
        assert stored[name].nunique() == 2, name
    assert set(stored["origin"]) == {"live", "backfill"}
    ratio = stored["last_close"].groupby(stored["symbol"]).agg(lambda closes: closes.max() / closes.min())
    assert ratio.max() > 2.5, "a split lies between two forecasts"
    assert (warehouse.read("skill_blocks")["n"] < 0).any()


def test_the_scores_are_those_that_the_final_tables_give(warehouse: Warehouse) -> None:
    newest = warehouse.read("scores").sort_values("revision").drop_duplicates(PAIR, keep="last")
    names = [name for name in newest.columns if name not in (*PAIR, "revision", "basis", "scored_at")]
    assert_same(newest, of_migration(warehouse, "scores"), PAIR, names)


def test_the_scores_are_those_of_their_definitions(warehouse: Warehouse) -> None:
    assert_same(relative(warehouse.read("forecast_scores")), relative(worked_out(warehouse)), PAIR, SCORE)


def test_the_sums_for_the_verdict_are_those_of_the_scores(warehouse: Warehouse) -> None:
    rows = warehouse.read("skill_blocks").groupby(BLOCK, as_index=False)[[*COUNTS, *LOSSES]].sum()
    stored = rows[rows["n"] != 0]
    added_up = of_migration(warehouse, "skill_blocks")
    assert_same(stored, added_up[added_up["grain"] == "both"], BLOCK, [*COUNTS, *LOSSES])
    assert_same(stored, in_blocks(worked_out(warehouse)), BLOCK, [*COUNTS, *LOSSES])
    taken_back = rows[rows["n"] == 0][[*COUNTS, *LOSSES]].to_numpy(float)
    assert taken_back == pytest.approx(np.zeros(taken_back.shape), abs=1e-9)


def test_nothing_is_scored_twice_by_one_file_and_no_revision_is_left_out(warehouse: Warehouse) -> None:
    stored = warehouse.read("scores")
    assert not stored.duplicated([*PAIR, "basis"]).any()
    revisions = stored.groupby(PAIR)["revision"].agg(["count", "max", "nunique"])
    assert (revisions["count"] == revisions["max"]).all()
    assert (revisions["count"] == revisions["nunique"]).all()


def with_close(bars: Bars, factor: float) -> Bars:
    """Bars whose last close but one is another."""
    close = bars.columns["close"].copy()
    close[-2] *= factor
    return Bars(bars.symbol, {**bars.columns, "close": close}, bars.simulated)


def test_earlier_scores_are_read_only_where_there_may_be_some(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chance, place, asked = np.random.default_rng(3), Place(tmp_path), []
    place.served = lambda: SERVED
    read = place.warehouse.read_arrow

    def recorded(name: str, *arguments: object) -> pa.Table:
        asked.append(name)
        return read(name, *arguments)

    monkeypatch.setattr(place.warehouse, "read_arrow", recorded)
    bars = Market(chance).known(SESSIONS)
    dates = bars[0].columns["session_date"]
    for number, (last, factor) in enumerate(((-3, 1.0), (-2, 1.0), (-1, 1.0), (-1, 1.01))):
        known = [with_close(one.through(dates[last].item()), factor) for one in bars]
        asked.clear()
        as_of = known[0].cutoff
        assert not place.handle(place.upload(objects.batch(as_of, number), to_parquet(known))).failures
        assert ("scores" in asked) == (factor != 1.0)
    scores = place.warehouse.read("scores")
    assert set(scores["revision"]) == {1, 2}
    again = scores[scores["revision"] == 2][["cutoff", "target_date"]].drop_duplicates().to_numpy()
    third, second, last = (pd.Timestamp(dates[place]) for place in (-3, -2, -1))
    assert {(cutoff, target) for cutoff, target in again} == {(third, second), (second, last)}


class Evenings(Place):
    """One symbol, whose bars of its last sessions arrive one by one, an hour and more after each close."""

    def __init__(self, folder: Path, sessions: int) -> None:
        super().__init__(folder)
        self.bars = Market(np.random.default_rng(5)).known(SESSIONS)[0]
        self.days: list[date] = self.bars.columns["session_date"][-sessions:].tolist()

    def pass_by(self, evening: int, cutoff: int, version: str = "1", factor: float = 1.0) -> None:
        """On one evening, let a version forecast from the bars of another; the last close but one may be corrected."""
        model = Model("lstm", 0.0)
        model.version = version
        self.served = lambda: [Served(model, Role.CHAMPION)]
        self.now = datetime.combine(self.days[evening], time(23, 15), UTC)
        known = with_close(self.bars.through(self.days[cutoff]), factor)
        assert not self.handle(self.upload(objects.single(self.days[cutoff], "MSFT"), to_parquet([known]))).failures

    def scored(self, cutoff: int) -> list[tuple[int, str, bool]]:
        """The steps from a cutoff that are scored, the version of each, and whether it was made when it was known."""
        rows = self.warehouse.read("forecast_scores", {"cutoff": [self.days[cutoff]]}).sort_values("step")
        return list(zip(rows["step"], rows["model_version"], rows["backfilled"], strict=True))


def test_a_score_stays_that_of_the_newest_forecast_before_the_close(tmp_path: Path) -> None:
    place = Evenings(tmp_path, 5)
    place.pass_by(0, 0)
    place.pass_by(1, 1)
    place.pass_by(1, 0, version="2")  # after the first close, before the second
    assert place.scored(0) == [(1, "1", False)]
    place.pass_by(2, 2)
    assert place.scored(0) == [(1, "1", False), (2, "2", False)]
    assert place.warehouse.compact()["forecasts"] == 0
    place.pass_by(3, 2, factor=1.01)  # the close of the first session after it is corrected
    assert place.scored(0) == [(1, "1", False), (2, "2", False)]
    assert place.warehouse.read("scores", {"cutoff": [place.days[0]], "step": 1})["revision"].max() == 2
    place.pass_by(4, 0, version="3")
    assert place.scored(0) == [(1, "1", False), (2, "2", False)]


def test_what_is_forecast_on_the_evening_of_its_session_is_backfilled(tmp_path: Path) -> None:
    place = Evenings(tmp_path, 3)
    place.pass_by(1, 1)
    place.pass_by(1, 0)
    assert place.scored(0) == [(1, "1", True)]
    place.pass_by(2, 2)
    assert place.scored(0) == [(1, "1", True), (2, "1", False)]
    assert place.warehouse.read("skill_blocks")["backfilled"].sum() == 1
