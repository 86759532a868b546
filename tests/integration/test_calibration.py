"""A symbol whose intervals held too little is flagged by the view, the command and the alerts; others are not."""

import json
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.support.place import AT, Place
from tests.support.warehouse_rows import append, ingestion
from typer.testing import CliRunner

from tickercast.cli import app
from tickercast.config import resource
from tickercast.domain.alerts import open_alerts
from tickercast.domain.cards.model_card import CHAMPION
from tickercast.domain.measures.scores import BLOCK_DAYS
from tickercast.jobs.operations.alerts import gather_facts
from tickercast.model_store import ModelStore
from tickercast.ports import Warehouse
from tickercast.reading.calibration import calibrations

SYMBOLS = "NVDA", "MSFT", "NEW"
YEARS = "2021-01-04", "2023-12-29"


def record(symbol: str, width: float, seed: int = 1, first: str = YEARS[0]) -> pd.DataFrame:
    """Sums of scores of simulated closes, whose 80% intervals were `width` times as wide as is right."""
    sessions = pd.bdate_range(first, YEARS[1])
    closes = np.cumsum(np.random.default_rng(seed).standard_normal(len(sessions)))
    origins = np.arange(len(sessions) - 10)
    parts = []
    for step in range(1, 11):
        inside = np.abs(closes[origins + step] - closes[origins]) <= 1.2816 * width * np.sqrt(step)
        days = sessions[origins].to_numpy().astype("datetime64[D]").astype(int)
        month = sessions[origins + step].to_numpy().astype("datetime64[M]").astype("datetime64[us]")
        parts.append(pd.DataFrame({"step": step, "block": days // BLOCK_DAYS, "month": month, "inside_80": inside}))
    scored = pd.concat(parts)
    summed = scored.groupby(["step", "block", "month"])["inside_80"].agg(["sum", "size"]).reset_index()
    summed = summed.rename(columns={"sum": "inside_80", "size": "n"}).assign(inside_95=lambda rows: rows["inside_80"])
    none = dict.fromkeys(("backfilled", "direction_right", "direction_stated"), 0)
    losses = dict.fromkeys(("loss", "walk_loss", "error", "walk_error"), 1.0)
    model = {"model_name": "tickercast-lstm", "model_version": "1", "role": "champion", "frequency": "1d"}
    return summed.assign(symbol=symbol, has_scale=True, scored_at=AT, **none, **losses, **model)


def fill(warehouse: Warehouse) -> None:
    rows = [record("NVDA", 0.78, seed=3), record("MSFT", 1.0, seed=2), record("NEW", 0.5, first="2023-10-02")]
    warehouse.append("skill_blocks", pd.concat(rows), key="skill_blocks/one")
    told = {"status": "forecast", "cutoff": date(2023, 12, 29), "simulated": False}
    ledger = [ingestion(str(number), symbol=symbol, **told) for number, symbol in enumerate(SYMBOLS)]
    append(warehouse, "ingestions", ledger, key="ingestions/one")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = Place(tmp_path)
    made.store.write(CHAMPION, b'{"name": "tickercast-lstm", "version": "1"}')
    fill(made.warehouse)
    return made


def test_three_years_that_held_seven_in_ten_are_flagged_and_the_right_ones_and_few_are_not(place: Place) -> None:
    found = {row.symbol: row for row in calibrations(place.warehouse)}
    assert {symbol: row.calibration for symbol, row in found.items()} == {
        "NVDA": "too narrow",
        "MSFT": "as stated",
        "NEW": "too early",
    }
    assert found["NVDA"].coverage_80 == pytest.approx(0.69, abs=0.02)
    assert found["NVDA"].coverage_80_hi < 0.8
    assert found["MSFT"].coverage_80_lo < 0.8 < found["MSFT"].coverage_80_hi
    assert {symbol: row.blocks for symbol, row in found.items()} == {"NVDA": 39, "MSFT": 39, "NEW": 3}
    assert [row.symbol for row in calibrations(place.warehouse, ["MSFT"])] == ["MSFT"]
    assert calibrations(place.warehouse, []) == []


@pytest.mark.parametrize(("watchlist", "flagged"), [(None, ["NVDA"]), (["MSFT"], []), (["NVDA"], ["NVDA"])])
def test_alerts_name_the_symbol_over_how_long_and_what_to_do(
    place: Place, watchlist: list[str] | None, flagged: list[str]
) -> None:
    facts = gather_facts(
        store=place.store,
        models=ModelStore(place.store, resource("shipped")),
        warehouse=place.warehouse,
        now=AT,
        watchlist=watchlist,
    )
    found = [alert for alert in open_alerts(facts) if alert.kind == "calibration"]
    assert [alert.title for alert in found] == [f"The 80% intervals of {symbol} are too narrow" for symbol in flagged]
    assert all(
        alert.text.startswith("They held ") and " of 28 days" in alert.text and "Read them as" in alert.text
        for alert in found
    )


def test_the_command_shows_flagged_symbols_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TICKERCAST_WAREHOUSE", f"duckdb://{tmp_path}/warehouse.duckdb")
    runner = CliRunner()
    empty = runner.invoke(app, ["calibration"])
    assert empty.exit_code == 0
    assert "There is no record of days yet" in empty.output
    from tickercast.app import App

    fill(App().tables)
    shown = runner.invoke(app, ["calibration"])
    lines = [line.split() for line in shown.output.splitlines() if line.startswith((" ", "N", "M"))]
    assert [words[0] for words in lines if words and words[0] in ("NVDA", "MSFT", "NEW")] == ["NVDA", "MSFT", "NEW"]
    assert "1 of 3 symbols flagged; chance alone would flag up to 0.1." in shown.output
    as_json = json.loads(runner.invoke(app, ["calibration", "NEW", "--json"]).stdout)
    names = ("symbol", "coverage_80_lo", "blocks", "calibration")
    assert [[row.get(name) for name in names] for row in as_json] == [["NEW", None, 3, "too early"]]
    assert not {"since", "through"} & set(as_json[0]), "a block begins before the first cutoff in it"
    unknown = runner.invoke(app, ["calibration", "ABCD"])
    assert unknown.exit_code == 1
    assert "ABCD has no record of days: none of its forecasts that count has come true." in unknown.output
    hours = runner.invoke(app, ["calibration", "NVDA", "--every", "1h"])
    assert hours.exit_code == 1
    assert "NVDA has no record of hours, and one of days: leave --every 1h out." in hours.output
    none = runner.invoke(app, ["calibration", "--every", "1h"])
    assert "There is no record of hours yet" in none.output
    assert "There is one of days: leave --every 1h out." in none.output
