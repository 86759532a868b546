"""Directions on the command line and the dashboard."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tests.support.directions import MODEL, direction_rows, hours
from typer.testing import CliRunner

from tickercast.app import App
from tickercast.cli import app as cli


@pytest.fixture
def stored(workspace: Path) -> App:
    """Directions of two coins on 30 days, with their closes."""
    app = App()
    app.provision()
    tables = hours()
    keys = ["symbol", "frequency", "simulated", "object", "generation", "written_at"]
    spans = (
        tables["prices"]
        .groupby(keys, as_index=False)
        .agg(
            first_session=("session_date", "min"),
            last_session=("session_date", "max"),
            announced_at=("ingested_at", "min"),
        )
    )
    for name, rows in {**tables, "spans": spans}.items():
        app.tables.append(name, rows, key=f"{name}/test")
    return app


def test_the_command_shows_the_newest_direction_and_the_record(stored: App) -> None:
    done = CliRunner().invoke(cli, ["directions"], env={"COLUMNS": "200"})
    assert done.exit_code == 0, done.output
    newest = stored.directions(["ETHUSDT"]).newest
    assert f"{newest['prob_up'].item():.1%}" in done.output
    assert "2023-05-19 02:00 to 03:00" in done.output
    assert "all symbols: " in done.output
    assert "hours on 30 days" in done.output
    for name in ("up to .08%", "above 1%", "closed higher"):
        assert name in done.output
    assert "earns nothing once fees are paid" in done.output


def test_the_json_holds_the_numbers(stored: App) -> None:
    done = CliRunner().invoke(cli, ["directions", "ethusdt", "--json"])
    found = json.loads(done.output)
    assert [row["symbol"] for row in found["newest"]] == ["ETHUSDT"]
    assert found["newest"][0]["cutoff_at"] == "2023-05-19T02:00:00+00:00"
    assert [(row["symbol"], row["n"]) for row in found["record"]] == [("ETHUSDT", 60)]
    assert {row["grouped_by"] for row in found["groups"]} == {"move", "probability"}
    assert {row["symbol"] for row in found["groups"]} == {"ETHUSDT"}
    everything = json.loads(CliRunner().invoke(cli, ["directions", "--json"]).output)
    assert [(row["symbol"], row["n"]) for row in everything["record"]] == [
        (None, 120),
        ("BTCUSDT", 60),
        ("ETHUSDT", 60),
    ]
    assert {row["symbol"] for row in everything["groups"]} == {None}


def test_the_command_shows_the_record_of_the_named_symbols_alone(stored: App) -> None:
    cutoff = pd.DatetimeIndex(["2023-05-19T02:00Z"])
    stored.tables.append("directions", direction_rows("SOLUSDT", cutoff, [20.0], [0.5]), key="directions/sol")
    runner = CliRunner()
    one, none, every = (runner.invoke(cli, ["directions", *words]).output for words in (["ETHUSDT"], ["SOLUSDT"], []))
    assert "ETHUSDT: not shown to be better than a coin." in one
    assert "ETHUSDT, by the size of the move" in one
    assert "BTCUSDT" not in one
    assert "all symbols" not in one
    said = "No direction of SOLUSDT has come true on an hour that counts yet."
    assert none.rstrip().endswith(said)
    assert "BTCUSDT" not in none
    assert said in every
    assert "all symbols, by the stated probability" in every


def test_where_none_is_stored_the_command_says_what_to_do(workspace: Path) -> None:
    done = CliRunner().invoke(cli, ["directions"])
    assert done.exit_code == 1
    assert "TICKERCAST_MODELS=champion,xgb-direction" in done.output


def test_the_dashboard_shows_them(stored: App, app_test: Any) -> None:
    import streamlit

    streamlit.cache_data.clear()
    streamlit.cache_resource.clear()

    def page() -> None:
        from tickercast.dashboard import direction_section

        direction_section.show()

    page_run = app_test.from_function(page).run(timeout=60)
    assert not page_run.exception
    text = " ".join(element.value for element in page_run.markdown)
    assert "Direction of the next hour" in text
    assert "all symbols: " in text


def test_a_record_says_what_it_compares(stored: App) -> None:
    from tickercast.show.directions import record_sentence

    row = stored.directions().skill.iloc[0].to_dict()
    assert pd.isna(row["symbol"])
    assert row["model_name"] == MODEL
    said = record_sentence(row | {"verdict": "better", "brier": 0.2459, "brier_lo": 0.245, "brier_hi": 0.2468})
    assert said.startswith(
        "all symbols: better than a coin. Brier score 0.2459 [0.2450, 0.2468], and a coin has .25; log"
    )
    early = record_sentence(row | {"verdict": "too early", "brier_lo": float("nan"), "accuracy": 0.5})
    assert "too early for a verdict, which needs 28 days" in early
    assert "right in 50.0% of 120 hours" in early
