"""The tables of a forecast: values in, text out."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest
from rich.console import Console, RenderableType
from tests.support.told import RESULTS, told_hours
from tests.support.trading import shipped_bundle

from tickercast.domain.cards.model_card import Pointer, RegisteredVersion
from tickercast.domain.forecast import LEVELS, Forecast, Step
from tickercast.errors import UsageError
from tickercast.show import sentences, tables

CUTOFF = date(2023, 7, 21)


def made(symbol: str = "MSFT", *, simulated: bool = False) -> Forecast:
    steps = tuple(
        Step(
            step,
            CUTOFF + timedelta(days=step),
            close_median=101.0,
            close_lo_80=95.0,
            close_hi_80=105.0,
            close_lo_95=90.0,
            close_hi_95=110.0,
        )
        for step in range(1, 11)
    )
    return Forecast(
        symbol,
        CUTOFF,
        100.0,
        steps,
        "lstm",
        "3",
        simulated=simulated,
        object=f"ohlc/2023-07-22/{symbol}.csv",
        generation="5",
    )


def shown(renderable: RenderableType) -> str:
    console = Console(width=160)
    with console.capture() as capture:
        console.print(renderable)
    return capture.get()


def test_the_table_gives_median_change_and_both_intervals() -> None:
    text = shown(tables.forecast_table(made(), None, "file://bucket"))
    assert "MSFT  cutoff 2023-07-21, last close 100.00, model lstm version 3" in text
    assert "2023-07-31   101.00   +1.00%   95.00 … 105.00   90.00 … 110.00" in text
    assert "file://bucket/ohlc/2023-07-22/MSFT.csv#5" in text
    assert "actual" not in text


def test_closes_that_followed_are_counted_inside_each_interval() -> None:
    actual = {CUTOFF + timedelta(days=step): close for step, close in ((1, 100.0), (2, 108.0), (3, 120.0))}
    text = shown(tables.forecast_table(made(), actual, "file://bucket"))
    assert (
        "Of the 3 closes that followed, 1 (33%) were inside the 80% interval and 2 (67%) inside the 95% interval."
        in text
    )
    assert "outside" in text


def test_a_source_without_the_sessions_that_followed_says_so() -> None:
    assert "does not hold the sessions" in shown(tables.forecast_table(made(), {}, "file://bucket"))


@pytest.mark.parametrize(
    ("last_close", "cells"),
    [
        (1.0319, "1.0422 +1.00% 0.9803 … 1.0835 0.9287 … 1.1351 1.0319"),
        (9.86, "9.9586 +1.00% 9.3670 … 10.3530 8.8740 … 10.8460 9.8600"),
        (10.2, "10.30 +1.00% 9.69 … 10.71 9.18 … 11.22 10.20"),
        (0.00123456, "0.0012469 +1.00% 0.0011728 … 0.0012963 0.0011111 … 0.0013580 0.0012346"),
    ],
)
def test_all_prices_of_a_symbol_have_the_decimals_of_its_last_close(last_close: float, cells: str) -> None:
    whole = made()
    prices = {name: getattr(whole.steps[-1], name) / 100 * last_close for name in LEVELS}
    step = replace(whole.steps[-1], **prices)
    assert " ".join(tables.step_cells(step, last_close, {step.end: last_close})[1:-1]) == cells
    one = shown(tables.forecast_table(replace(whole, last_close=last_close, steps=(step,)), None, "file://bucket"))
    assert cells.rpartition(" ")[0] in " ".join(one.split())


def test_simulated_bars_are_said_to_be_so_everywhere() -> None:
    simulated = made(simulated=True)
    assert sentences.SIMULATED in shown(tables.forecast_table(simulated, None, "file://bucket"))
    assert sentences.SIMULATED in shown(tables.summary_table([made(), simulated]))
    assert json.loads(tables.forecasts_json([simulated], CUTOFF))[0]["simulated"] is True


def test_many_symbols_take_one_line_each() -> None:
    text = shown(tables.summary_table([made("MSFT"), made("META")]))
    assert [line.split()[0] for line in text.splitlines() if "2023-07-31" in line] == ["MSFT", "META"]
    assert "last session" in text
    hours = shown(tables.summary_table([told_hours().made]))
    assert "cutoff (UTC)" in hours
    assert "last hour (UTC)" in hours


def test_what_the_model_has_seen_is_no_test_of_it() -> None:
    actual = {CUTOFF + timedelta(days=1): 100.0}
    assert "trained on dates up to" not in shown(tables.forecast_table(made(), actual, "file://bucket", CUTOFF))
    later = CUTOFF + timedelta(days=1)
    assert f"trained on dates up to {later}" in shown(tables.forecast_table(made(), actual, "file://bucket", later))


def test_a_results_day_inside_the_horizon_is_said_and_is_in_the_json() -> None:
    predicted = replace(made(), results=replace(RESULTS, is_predicted=True))
    said = "results expected 2023-07-25 (after the close; predicted from its own past dates), inside this horizon"
    assert said in shown(tables.forecast_table(predicted, None, "file://bucket"))
    assert f"MSFT: {said}" in shown(tables.summary_table([predicted, made("AAPL")]))
    with_results, without = json.loads(tables.forecasts_json([replace(made(), results=RESULTS), made()], CUTOFF))
    assert with_results["results"] == {
        "date": "2023-07-25",
        "session": "after",
        "target_date": "2023-07-26",
        "predicted": False,
    }
    assert "results" not in without


def listed(version: str, *aliases: str) -> RegisteredVersion:
    card = shipped_bundle().card.model_copy(update={"version": version})
    return RegisteredVersion(card, datetime(2024, 6, 11, tzinfo=UTC), aliases)


DISAGREE = "and the pointer, which decides, version 2. The next daily run sets the alias."


@pytest.mark.parametrize(
    ("versions", "served", "said"),
    [
        ([listed("2", "champion"), listed("1")], "2", "registered"),
        ([], "1", "served: tickercast-lstm version 1, shipped"),
        (
            [listed("1", "champion")],
            "2",
            "tickercast-lstm version 2 can be read from the bucket alone, not from the registry. It serves on; to "
            "serve another, publish a version that is listed.",
        ),
        (
            [listed("2"), listed("1", "champion")],
            "2",
            f"The registry's alias champion names version 1, {DISAGREE}",
        ),
        ([listed("2"), listed("1")], "2", f"The registry's alias champion names no version that is listed, {DISAGREE}"),
    ],
)
def test_a_list_of_models_says_where_the_registry_and_the_pointer_disagree(
    versions: list[RegisteredVersion], served: str, said: str
) -> None:
    text = shown(tables.models_table(versions, Pointer(name="tickercast-lstm", version=served), [], shipped="1"))
    assert " ".join(text.split()).endswith(said)
    assert ("loss / ewma-t" in text) == bool(versions), "no table of nothing"


def test_a_list_of_models_names_no_other_network_as_served_or_published() -> None:
    """A registry that was replaced gave the numbers of published versions to others."""
    versions = [listed("3"), listed("2", "champion"), listed("1")]
    pointer = Pointer(name="tickercast-lstm", version="2")
    text = shown(tables.models_table(versions, pointer, ["1", "2", "3"], ["3", "2"], shipped="1"))
    stands = [line.split()[-1] for line in text.splitlines() if line.strip()[:1].isdigit()]
    assert stands == ["registered", "registered", "published"]
    assert " ".join(text.split()).endswith(
        "tickercast-lstm version 2 can be read from the bucket alone, not from the registry. It serves on; to serve "
        "another, publish a version that is listed. Other networks were published under these numbers of the registry, "
        "which was replaced: 2, 3. Published versions never change, so these cannot be served. What is trained from "
        "now on gets numbers of its own."
    )


@pytest.mark.parametrize(
    ("drifted", "said"),
    [
        (0, "10 of 41 measures: those nearest to their thresholds"),
        (2, "10 of 41 measures: those that have drifted, then those nearest to their thresholds"),
        (12, "12 of 41 measures: those that have drifted"),
    ],
)
def test_a_list_of_drift_says_of_how_many_measures_it_shows_which(drifted: int, said: str) -> None:
    scores = [2.0 + number if number < drifted else 0.9 - number / 100 for number in range(41)]
    rows = pd.DataFrame({"kind": "input", "name": [f"m{number}" for number in range(41)], "score": scores})
    rows = rows.assign(threshold=1.0, drifted=rows["score"] > 1, method="a distance")
    assert shown(tables.drift_table(rows)).splitlines()[-1].strip() == said
    assert "measures" not in shown(tables.drift_table(rows.head(10)))


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("[1, 2, NULL]", "[1, 2, –]"),
        ("[0.123456789, 1]::DOUBLE[]", "[0.123457, 1]"),
        ("[[1], [2, 3]]", "[[1], [2, 3]]"),
        ("[DATE '2023-07-21']", "[2023-07-21]"),
        ("[TIMESTAMP '2023-07-21 10:00:00']", "[2023-07-21 10:00:00]"),
        ("NULL::INTEGER[]", "–"),
    ],
)
def test_lists_of_a_query_are_printed_in_one_cell(query: str, said: str) -> None:
    lines = shown(tables.rows_table(duckdb.sql(f"SELECT {query} AS list").df())).splitlines()
    assert said in [line.strip() for line in lines]


@pytest.mark.parametrize("level", [50, 90, 0.8])
def test_a_step_knows_two_intervals_and_no_other(level: int) -> None:
    [step, *_] = made().steps
    assert (step.interval(80), step.interval(95)) == ((95.0, 105.0), (90.0, 110.0))
    for asked in (lambda: step.interval(level), lambda: step.covers(100.0, level)):
        with pytest.raises(UsageError, match=f"level is {level}: 80 or 95 was needed"):
            asked()


@pytest.mark.parametrize("close", ["x", None, np.array([100.0, 101.0])])
def test_a_step_covers_numbers_and_nothing_else(close: Any) -> None:
    [step, *_] = made().steps
    assert step.covers(np.float32(100), 80)
    with pytest.raises(UsageError, match=r"The close is .*: a number was needed, such as 24.5\. Give one\."):
        step.covers(close, 80)
