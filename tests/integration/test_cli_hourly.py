"""The commands for hourly bars, as a user types them: backtest, its check for leaks, and train."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import jsonschema
import pandas as pd
import pytest
from tests.support.hourly import make_hours, table
from typer.testing import CliRunner, Result

from tickercast.app import App
from tickercast.cli import app
from tickercast.errors import UsageError
from tickercast.model_store import files

DATES = ("--from", "2022-05-02", "--to", "2022-06-05")


@pytest.fixture
def run(workspace: Path) -> Callable[..., Result]:
    """Run a command beside a folder `hours` with two coins."""
    coins = [make_hours(hours=4000), make_hours("ETHUSDT", hours=4000, seed=8)]
    (workspace / "hours").mkdir()
    pd.concat([table(one).assign(symbol=one.symbol) for one in coins]).to_parquet("hours/coins.parquet")
    return lambda *words, catch=True: CliRunner().invoke(app, words, catch_exceptions=catch)


def test_models_of_hourly_bars_are_compared_on_the_same_hours(run: Callable[..., Result]) -> None:
    words = ("backtest", "--every", "6h", "--source", "hours", *DATES, "--json", "out.json")
    done = run(*words, "--model", "har-season", "--model", "tickercast-plain-1h")
    assert done.exit_code == 0, done.output
    report = json.loads(Path("out.json").read_text())
    assert report["model"] == "har-season"
    assert list(report["ratios"]) == ["tickercast-plain-1h", "ewma-season", "ewma-t"]
    assert report["overall"]["n"] == 2 * 35 * 4
    assert len(report["by_step"]) == 24
    assert report["ratios"]["ewma-t"]["sp"][0] < 1


def test_a_named_baseline_of_another_version_is_not_compared_with_itself(run: Callable[..., Result]) -> None:
    store = App().hourly_store
    bundle = store.shipped
    for path, content in files(bundle.registered(version="3", run_id="run")).items():
        Path(path).parent.mkdir(parents=True)
        Path(path).write_bytes(content)
    words = ("backtest", "--every", "24h", "--source", "hours", *DATES, "--json", "out.json")
    done = run(*words, "--model", "models/har-season/3")
    assert done.exit_code == 0, done.output
    report = json.loads(Path("out.json").read_text())
    assert report["versions"] == {"har-season": "3", "ewma-season": "1", "ewma-t": "1"}


@pytest.mark.parametrize(("model", "is_said"), [("tickercast-lstm-1h", True), ("har-season", False)])
def test_a_network_that_was_trained_on_the_hours_says_so(run: Callable[..., Result], model: str, is_said: bool) -> None:
    words = ("backtest", "--every", "24h", "--source", "hours", *DATES, "--json", "out.json")
    done = run(*words, "--model", model)
    assert done.exit_code == 0, done.output
    assert ("The model was trained on dates up to 2022-06-30" in " ".join(done.stderr.split())) is is_said
    assert ("trained_through" in json.loads(Path("out.json").read_text())) is is_said


def test_the_champion_is_judged_by_default(run: Callable[..., Result]) -> None:
    done = run("backtest", "--every", "24h", "--source", "hours", *DATES, "--json", "out.json")
    assert done.exit_code == 0, done.output
    assert json.loads(Path("out.json").read_text())["model"] == "har-season"


def test_no_shipped_model_looks_ahead(run: Callable[..., Result]) -> None:
    done = run(
        *("backtest", "--every", "1h", "--source", "hours", *DATES, "--check-leaks"),
        *("--model", "har-season", "--model", "tickercast-lstm-1h"),
    )
    assert done.exit_code == 0, done.output
    assert set(done.output.split("\n")) >= {"har-season: 0", "tickercast-lstm-1h: 0", "ewma-season: 0", "ewma-t: 0"}


def test_daily_models_are_checked_for_leaks_and_compared_by_name(run: Callable[..., Result]) -> None:
    dates = ("--source", "sample", "--from", "2012-01-03", "--to", "2012-02-28")
    done = run("backtest", *dates, "--check-leaks", "--model", "random-walk")
    assert done.exit_code == 0, done.output
    assert "random-walk: 0" in done.output
    done = run("backtest", *dates, "--model", "ewma-t", "--model", "garch", "--every", "40", "--json", "out.json")
    assert done.exit_code == 0, done.output
    report = json.loads(Path("out.json").read_text())
    assert report["model"] == "ewma-t"
    assert "garch" in report["ratios"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("backtest", "--every", "hourly", "--source", "hours", *DATES), "or of hours, such as 1h, was needed"),
        (("backtest", "--every", "0", "--source", "hours", *DATES), "or of hours, such as 1h, was needed"),
        (
            ("backtest", "--every", "1h", "--source", "nowhere", *DATES),
            "is neither binance, simulated nor a folder",
        ),
        (("backtest", "--every", "1h", "--source", "hours", "--model", "garch", *DATES), "'garch' is not a model"),
        (
            ("backtest", "--every", "1h", "--source", "hours", "--from", "2022-02-01", "--to", "2022-02-05"),
            "Tables can be learned from 0 of the hours",
        ),
        (
            ("backtest", "--every", "1h", "--source", "hours", "--from", "2024-01-04", "--to", "2024-01-05"),
            "No origin of",
        ),
        (
            ("train", "--every", "1h", "--through", "2022-06-30"),
            "The source binance does not list its symbols. Name some, such as BTCUSDT.",
        ),
        (("train", "--every", "1h", "--source", "yahoo"), "The source yahoo has daily bars alone"),
        (("train", "--every", "5m", "--source", "hours"), "1d or 1h was needed"),
        (("train", "--direction", "--source", "hours"), "--direction, --trials and --when-due need hourly bars"),
        (
            ("train", "--every", "1h", "--hold-out", "3", "--source", "hours"),
            "--recipe, --hold-out and --events are for daily bars",
        ),
        (("models", "--every", "5m"), "1d or 1h was needed"),
        (("rollback", "--direction"), "--direction needs hourly bars: add --every 1h"),
        (("rollback", "--every", "1h", "--direction"), "holds no models/direction-1h.json"),
    ],
)
def test_what_makes_no_sense_is_a_sentence(run: Callable[..., Result], words: tuple[str, ...], message: str) -> None:
    done = run(*words)
    assert isinstance(done.exception, UsageError | Exception)
    assert message in " ".join(f"{done.output} {done.exception}".split())


# ---------------------------------------------------------------- forecasts


def test_a_coin_is_forecast_24_hours_ahead_and_shown(run: Callable[..., Result]) -> None:
    done = run("forecast", "BTCUSDT", "2022-05-02 14:00", "--every", "1h", "--source", "hours", "--actual")
    assert done.exit_code == 0, done.output
    assert "BTCUSDT  cutoff 2022-05-02 14:00 UTC" in done.output
    assert "2022-05-03 14:00" in done.output
    assert "Of the 24 closes that followed" in done.output
    assert "ohlc/1h/2022-05-02T14/BTCUSDT.csv#" in done.output


def test_what_followed_is_in_the_report_and_the_chart_of_hours(run: Callable[..., Result]) -> None:
    words = ("forecast", "BTCUSDT", "2022-05-02 14:00", "--every", "1h", "--source", "hours", "--actual")
    done = run(*words, "--report", "hours.html", "--chart", "hours.png")
    assert done.exit_code == 0, done.output
    assert "Of the 24 closes that followed" in Path("hours.html").read_text()
    assert Path("hours.png").stat().st_size


def test_a_stored_hour_is_found_by_its_moment_with_a_zone_and_without(run: Callable[..., Result]) -> None:
    assert run("forecast", "BTCUSDT", "2022-05-02 14:00", "--every", "1h", "--source", "hours").exit_code == 0
    for moment in (datetime(2022, 5, 2, 14, tzinfo=UTC), datetime(2022, 5, 2, 14)):
        found = App().stored_forecast("BTCUSDT", cutoff=moment, frequency="1h")
        assert found.made.end == datetime(2022, 5, 2, 14, tzinfo=UTC)


def test_a_report_of_days_says_where_one_of_hours_comes_from(run: Callable[..., Result]) -> None:
    assert run("forecast", "BTCUSDT", "2022-05-02 14:00", "--every", "1h", "--source", "hours").exit_code == 0
    hours = "A report of hours is written when they are forecast: tickercast forecast BTCUSDT --every 1h --report FILE."
    of_coin, of_both, of_all = (str(run("report", *words).exception) for words in (["BTCUSDT"], ["BTCUSDT", "IBM"], []))
    assert of_coin == f"No forecast of days of BTCUSDT is stored, and this report needs one. {hours}"
    assert of_both.endswith(
        f"of BTCUSDT, IBM is stored, and this report needs one. Run: tickercast forecast IBM DATE. {hours}"
    )
    assert of_all.endswith(f"Run: tickercast forecast TICKER DATE. {hours}")


def test_questions_about_days_say_that_a_coin_has_forecasts_of_hours(run: Callable[..., Result]) -> None:
    assert run("forecast", "BTCUSDT", "2022-05-02 14:00", "--every", "1h", "--source", "hours").exit_code == 0
    hours = "Of hours BTCUSDT has some: tickercast dashboard shows them."
    of_all = run("overview").output
    assert "Only hours are forecast yet, of BTCUSDT: tickercast dashboard shows them." in of_all
    assert "Nothing is forecast" not in of_all
    of_both = run("overview", "BTCUSDT", "IBM").stderr
    assert f"No forecast of days is stored of BTCUSDT, IBM. {hours} Run: tickercast forecast IBM DATE." in of_both
    for words in (("odds", "BTCUSDT", "3"), ("paths", "BTCUSDT")):
        assert str(run(*words).exception) == f"BTCUSDT has no stored forecast of days: one was needed. {hours}"


@pytest.mark.parametrize(("hours", "kind"), [(8, "gap"), (3, "filled")])
def test_a_gap_is_said_once(run: Callable[..., Result], hours: int, kind: str) -> None:
    rows = pd.read_parquet("hours/coins.parquet").query("symbol == 'BTCUSDT'")
    Path("gaps").mkdir()
    pd.concat([rows[:3000], rows[3000 + hours :]]).to_parquet("gaps/coins.parquet")
    done = run("forecast", "BTCUSDT", "2022-05-10 14:00", "--every", "1h", "--source", "gaps")
    assert done.exit_code == 0, done.output
    [found] = App().tables.read("ingestions")["findings"]
    assert found == f"{kind}: no bar for {hours} hours from {found.partition(' from ')[2]}"
    assert found.count("no bar") == 1


def test_the_json_of_hours_has_moments_and_fits_its_schema(run: Callable[..., Result]) -> None:
    words = ("forecast", "BTCUSDT", "ETHUSDT", "2022-05-02", "14:00", "--every", "1h", "--source", "hours", "--json")
    done = run(*words)
    assert done.exit_code == 0, done.output
    made = json.loads(done.stdout)
    assert [each["symbol"] for each in made] == ["BTCUSDT", "ETHUSDT"]
    assert made[0]["cutoff_at"] == "2022-05-02T14:00:00+00:00"
    assert made[0]["forecast"][23]["target_at"] == "2022-05-03T14:00:00+00:00"
    schema = json.loads((Path(__file__).parents[2] / "docs" / "forecast.schema.json").read_text())
    jsonschema.validate(made, schema)


@pytest.mark.parametrize("words", [("hourly",), ("forecast", "2022-05-02 14:00", "--every", "1h")])
@pytest.mark.parametrize("source", ["sample", "yahoo"])
def test_a_configured_source_without_hours_is_not_exchanged_for_another(
    run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], source: str
) -> None:
    monkeypatch.setenv("TICKERCAST_SOURCE", source)
    with pytest.raises(UsageError, match=f"The source {source} has daily bars alone.*such as --source binance"):
        run(*words, "BTCUSDT", catch=False)


def test_a_source_of_hours_alone_is_refused_for_days(run: Callable[..., Result]) -> None:
    with pytest.raises(UsageError, match=r"The source binance has hours alone.*or add --every 1h"):
        run("forecast", "MSFT", "2022-05-02", "--source", "binance", catch=False)


def test_a_date_alone_means_all_of_its_hours(run: Callable[..., Result]) -> None:
    done = run("forecast", "ETHUSDT", "2022-05-02", "--every", "1h", "--source", "hours")
    assert done.exit_code == 0, done.output
    assert "cutoff 2022-05-03 00:00 UTC" in done.output


def test_another_model_of_hours_is_shown_and_one_of_days_refused(run: Callable[..., Result]) -> None:
    words = ("forecast", "BTCUSDT", "2022-05-02 14:00", "--every", "1h", "--source", "hours")
    done = run(*words, "--model", "tickercast-lstm-1h")
    assert done.exit_code == 0, done.output
    assert "model tickercast-lstm-1h version 1" in done.output
    with pytest.raises(UsageError, match=r"'garch' is no model that can be served: champion, random-walk"):
        run(*words, "--model", "garch", catch=False)


def test_a_file_of_hours_is_sent_and_its_status_shown(run: Callable[..., Result]) -> None:
    table(make_hours("SOLUSDT", hours=800)).to_csv("SOLUSDT.csv", index=False)
    done = run("upload", "SOLUSDT.csv", "--every", "1h", "--as-of", "2022-02-05 08:00")
    assert done.exit_code == 0, done.output
    assert "ohlc/1h/2022-02-05T08/SOLUSDT.csv" in done.output
    assert "2022-02-05 08:00" in done.output
    assert "forecast" in done.output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("BTCUSDT", "2022-05-02 25:00", "--every", "1h"), r"'2022-05-02 25:00' is no moment: YYYY-MM-DD HH:MM"),
        (("BTCUSDT", "2099-01-01 10:00", "--every", "1h"), "is out of range: a moment up to"),
        (("BTCUSDT", "2022-05-02", "--every", "5m"), "The frequency '5m' is not known: 1d or 1h was needed"),
        (("2022-05-02 10:00", "--every", "1h"), "A date and no ticker was given"),
    ],
)
def test_what_cannot_be_read_is_a_sentence(run: Callable[..., Result], words: tuple[str, ...], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        run("forecast", *words, "--source", "hours", catch=False)


def test_a_report_and_a_chart_of_hours_are_drawn(run: Callable[..., Result]) -> None:
    words = ("forecast", "BTCUSDT", "2022-05-02 14:00", "--every", "1h", "--source", "hours")
    done = run(*words, "--report", "r.html", "--chart", "c.png")
    assert done.exit_code == 0, done.output
    page = Path("r.html").read_text()
    assert "BTCUSDT from 2022-05-02 14:00 UTC" in page
    assert "After 24 hours, at 2022-05-03 14:00 UTC, the close lies between" in page
    assert Path("c.png").read_bytes().startswith(b"\x89PNG")


def test_an_hour_is_run_by_one_command(run: Callable[..., Result]) -> None:
    done = run("hourly", "BTCUSDT", "--source", "simulated")
    assert done.exit_code == 0, done.output
    assert "BTCUSDT is forecast from" in done.output


def test_hourly_models_are_listed_and_taken_back(run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    def lines(of: Result) -> list[list[str]]:
        return [line.split() for line in of.stdout.splitlines() if line.strip()]

    listed = run("models", "--every", "1h")
    assert ["har-season", "1", "2022-06-30", "–", "champion"] in lines(listed)
    assert ["tickercast-lstm-1h", "1", "2022-06-30", "2022-06-30", "companion"] in lines(listed)
    assert not any("xgb-direction" in line for line in lines(listed))
    service = App()
    service.provision()
    shipped = service.hourly_store.shipped
    newer = shipped.card.model_copy(update={"version": "2", "reference_sha256": ""})
    service.hourly_store.write(replace(shipped, card=newer, reference=b""))
    service.hourly_store.point(service.hourly_store.pointer().pointing("2"))
    assert lines(run("models", "--every", "1h"))[2:4] == [
        ["har-season", "2", "2022-06-30", "–", "champion"],
        ["har-season", "1", "2022-06-30", "–", "published"],
    ]
    done = run("rollback", "--every", "1h")
    assert "har-season version 1 is served from" in done.stdout
    assert service.hourly_store.pointer().version == "1"
    service.hourly_store.point(service.hourly_store.pointer().demoted("ewma-season", 0.98))
    demoted = run("models", "--every", "1h").stdout
    assert "served: ewma-season, a baseline, in the place of har-season version 1" in demoted
    assert run("models").stdout.splitlines() == [
        "No version is registered yet: the first training creates the registry.",
        "served: tickercast-lstm version 1, shipped",
    ]
    monkeypatch.setenv("TICKERCAST_MODELS", "champion,xgb-direction")
    assert "xgb-direction" in run("models", "--every", "1h").stdout


def test_the_spelling_of_daily_bars_is_not_recommended_for_hours(run: Callable[..., Result]) -> None:
    moment = ("2022-06-01 00:00", "--every", "1h", "--source", "hours")
    said = run("forecast", "BTCUSD", *moment).stderr
    assert "hours does not hold BTCUSD: it has BTCUSDT, ETHUSDT." in " ".join(said.split())
    assert "Did you mean" not in said
    assert run("forecast", "BTCUSDT", *moment).exit_code == 0
    assert "Did you mean BTCUSDT, which was forecast before?" in " ".join(
        run("forecast", "BTCUSD", *moment).stderr.split()
    )
