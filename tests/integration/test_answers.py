"""Odds, paths and portfolios through the command line, and the examples of their pages."""

import doctest
import json
import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import Result
from tests.conftest import PROJECT
from typer.testing import CliRunner

from tickercast.app import App
from tickercast.cli import answers, app
from tickercast.cli.terminal import open_app
from tickercast.domain.forecast import QUANTILES
from tickercast.domain.text import price
from tickercast.errors import TooFewSessions, UsageError
from tickercast.show.answers import MEASURED, notes

HOLDINGS = "symbol,shares\nMSFT,100\nAAPL,-10\nIBM,20\n"


def run(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


def split(text: str) -> tuple[list[str], list[float]]:
    """The words of a text, line by line, with a mark for each decimal number, and these numbers."""
    number = r"-?\d[\d,]*\.\d+"
    lines = [" ".join(re.sub(number, "#", line).split()) for line in text.splitlines() if line.strip()]
    return lines, [float(found.replace(",", "")) for found in re.findall(number, text)]


def set_clock(monkeypatch: pytest.MonkeyPatch, moment: datetime) -> None:
    def opened() -> App:
        service = open_app()
        service.now = lambda: moment
        return service

    monkeypatch.setattr(answers, "open_app", opened)


def refused(*words: str) -> str:
    made = run(*words)
    assert isinstance(made.exception, UsageError), made.output
    return str(made.exception)


@pytest.fixture
def forecast(workspace: Path) -> Path:
    made = run("forecast", "MSFT", "AAPL", "IBM", "2010-06-30", "--source", "sample")
    assert made.exit_code == 0, made.output
    return workspace


@pytest.mark.parametrize("page", ["odds", "portfolio"])
def test_the_examples_of_the_page_are_what_is_printed(
    page: str, forecast: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_clock(monkeypatch, datetime(2010, 6, 30, 21, tzinfo=UTC))
    (forecast / "holdings.csv").write_text(HOLDINGS)
    text = (PROJECT / "docs" / f"{page}.md").read_text()
    examples = re.findall(r"^\$ tickercast ((?:odds|portfolio) .*)\n((?:(?!\$|```).*\n)+)", text, re.MULTILINE)
    assert examples
    for command, expected in examples:
        (said, found), (promised, figures) = (split(text) for text in (run(*command.split()).output, expected))
        assert said == promised
        assert found == pytest.approx(figures, rel=0.01)  # other processors round the forecast's last digits otherwise


@pytest.mark.parametrize(
    ("page", "figure", "told"),
    [
        ("portfolio", "var95_breaches_independent", "in {:.0%} of all sessions"),
        ("portfolio", "var95_breaches_independent", "| {:.1%} |"),
        ("odds", "all_inside_80", "in {:.0%} of the forecasts"),
        ("odds", "all_inside_80_stated", "stated {:.1%}"),
        ("reading-intervals", "all_inside_80_stated", "stated as {:.0%}"),
        ("reading-intervals", "all_inside_80", "came true in {:.0%}"),
    ],
)
def test_a_page_tells_what_was_measured(page: str, figure: str, told: str) -> None:
    figures = json.loads((PROJECT / "benchmarks" / "answers.json").read_text())["figures"]
    assert told.format(figures[figure]) in " ".join((PROJECT / "docs" / f"{page}.md").read_text().split())


def test_the_library_answers_in_prices_as_the_page_shows(forecast: Path) -> None:
    text = (PROJECT / "docs" / "odds.md").read_text()
    [source] = re.findall(r"^```pycon\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    examples = doctest.DocTestParser().get_doctest(source, {}, "odds.md", "odds.md", 0)
    said: list[str] = []
    assert doctest.DocTestRunner().run(examples, out=said.append).failed == 0, "".join(said)
    found = open_app().odds("MSFT")
    for chances, words in ((found.below(22), ["22", "--below"]), (found.between(22, 24), ["--between", "22", "24"])):
        printed = json.loads(run("odds", "MSFT", *words, "--json").stdout)["answers"]
        assert [[each[way] for way in ("ends", "closes", "touches")] for each in printed] == chances[
            ["ends", "closes", "touches"]
        ].to_numpy().tolist()
    for wrong in (lambda: found.above(0), lambda: found.between(24, 22), lambda: found.prices(10)):
        with pytest.raises(UsageError, match="needed"):
            wrong()


def test_the_record_that_is_stated_is_the_measured_one() -> None:
    figures = json.loads((PROJECT / "benchmarks" / "answers.json").read_text())["figures"]
    assert MEASURED["closes"] == round(100 * figures["close_max_error"], 1)
    assert MEASURED["touches"] == round(100 * figures["touch_max_error"], 1)


def test_the_whole_distribution_is_in_the_json_of_a_forecast(workspace: Path) -> None:
    made = run("forecast", "MSFT", "2010-06-30", "--source", "sample", "--json")

    [forecast] = json.loads(made.stdout)
    for step in forecast["forecast"]:
        closes = [step["quantiles"][str(level)] for level in QUANTILES]
        assert closes == sorted(closes)
        assert step["quantiles"]["0.1"] == pytest.approx(step["close_lo_80"], rel=1e-5)


def test_coming_results_and_odd_bars_are_said_beside_every_answer(workspace: Path) -> None:
    written = "symbol,date,session,known_at\nMSFT,2010-07-08,after,2010-06-01\n"
    service = open_app()
    service.provision()
    service.store.write("events/mine.csv", written.encode())
    assert run("forecast", "MSFT", "AAPL", "2010-06-30", "--source", "sample").exit_code == 0
    (workspace / "holdings.csv").write_text("symbol,shares\nMSFT,100\nAAPL,10\n")
    for command in (("odds", "MSFT", "30"), ("paths", "AAPL", "MSFT"), ("portfolio", "holdings.csv")):
        said = " ".join(run(*command).output.split())
        assert "Results expected inside this horizon: MSFT 2010-07-08 (after the close)." in said
    found = open_app().paths(["AAPL", "MSFT"])
    doubtful = replace(found, forecasts=[replace(made, doubtful=made.symbol == "AAPL") for made in found.forecasts])
    assert "Odd bars, so that the width may be wrong: AAPL." in [str(note) for note in notes(doubtful)]


def test_an_answer_of_now_says_how_old_its_forecast_is(forecast: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    set_clock(monkeypatch, datetime(2010, 7, 3, 12, tzinfo=UTC))
    (forecast / "holdings.csv").write_text(HOLDINGS)
    stale = "2 sessions have closed since 2010-06-30: this forecast is stale."
    for command, said in {
        ("odds", "MSFT", "30"): stale,
        ("paths", "AAPL", "MSFT"): f"AAPL, MSFT: {stale}",
        ("portfolio", "holdings.csv"): f"MSFT, AAPL, IBM: {stale}",
    }.items():
        assert said in run(*command).output.splitlines()
        assert stale not in run(*command, "--as-of", "2010-06-30").output
        if command[0] != "paths":
            assert said in json.loads(run(*command, "--json").stdout)["remarks"]


def test_odds_as_json_agree_with_the_stored_forecast(forecast: Path) -> None:
    stored = json.loads(run("forecast", "MSFT", "2010-06-30", "--source", "sample", "--json").stdout)
    level = stored[0]["forecast"][4]["close_hi_80"]

    found = json.loads(run("odds", "MSFT", str(level), "--json").stdout)

    answer = found["answers"][4]
    assert answer["ends"] == pytest.approx(0.1, abs=0.001)
    assert answer["ends"] < answer["closes"] < answer["touches"] < 0.4


def test_a_forecast_of_today_is_asked_about_dates_to_come(workspace: Path) -> None:
    assert run("forecast", "MSFT", "--source", "simulated").exit_code == 0
    dates = [each["target_date"] for each in json.loads(run("odds", "MSFT", "4", "--json").stdout)["answers"]]

    for words in (["4"], ["--chance", "0.1"], ["--between", "3", "5"]):
        found = json.loads(run("odds", "MSFT", *words, "--by", dates[-2], "--json").stdout)
        assert [each["target_date"] for each in found["answers"]] == dates[:-1]
    beyond = str(date.fromisoformat(dates[-1]) + timedelta(days=1))
    assert f"--by {beyond} is outside the forecast of MSFT" in refused("odds", "MSFT", "4", "--by", beyond)
    assert "'soon' is not a date" in refused("odds", "MSFT", "4", "--by", "soon")


def test_paths_as_parquet_have_the_stored_quantiles(forecast: Path) -> None:
    made = run("paths", "MSFT", "IBM", "--parquet", "paths.parquet")

    table = pd.read_parquet("paths.parquet")
    stored = json.loads(run("forecast", "IBM", "2010-06-30", "--source", "sample", "--json").stdout)
    closes = table[(table["symbol"] == "IBM") & (table["step"] == 7)]["close"]
    assert "written: paths.parquet" in made.output
    assert len(table) == 2 * 10 * 1999
    np.testing.assert_allclose(
        np.sort(closes)[round(0.9 * 2000) - 1], stored[0]["forecast"][6]["close_hi_80"], rtol=1e-4
    )
    assert (table["high"] >= table["close"]).all()


def test_paths_and_the_risk_of_one_holding_have_the_stored_quantiles(forecast: Path) -> None:
    Path("one.csv").write_text("symbol,shares\nMSFT,100\n")
    [stored] = json.loads(run("forecast", "MSFT", "2010-06-30", "--source", "sample", "--json").stdout)

    found = json.loads(run("portfolio", "one.csv", "--json").stdout)

    for step, made in zip(found["steps"], stored["forecast"], strict=True):
        gains = {name: 100 * (close - stored["last_close"]) for name, close in made["quantiles"].items()}
        assert step["var_95"] == pytest.approx(-gains["0.05"], rel=1e-4)
        assert [step["lo_80"], step["hi_80"]] == pytest.approx([gains["0.1"], gains["0.9"]], rel=1e-4)
        assert step["es_95"] > step["var_95"]
    assert f"{price(made['close_lo_80'])} – {price(made['close_hi_80'])}" in run("paths", "MSFT").output


def test_why_an_interval_is_so_wide_is_a_product(workspace: Path) -> None:
    words = ("forecast", "MSFT", "2010-06-30", "--source", "sample", "--why")

    said = run(*words).stdout
    [found] = json.loads(run(*words, "--json").stdout)

    why, last = found["why"], found["forecast"][-1]
    assert why["usual"] * why["now"] * why["model"] == pytest.approx(why["width"])
    assert why["width"] == pytest.approx(np.log(last["close_hi_80"] / last["close_lo_80"]))
    assert (
        f"As of 2010-06-30 MSFT moves {why['sigma']:.2%} a session, {why['now'] - 1:.0%} more than in its year" in said
    )
    assert f"{why['now']:.2f} times as wide as usual" in said


def test_a_portfolio_of_two_currencies(forecast: Path) -> None:
    Path("two.csv").write_text("symbol,shares\nMSFT,100\nVOD.L,10\n")

    assert refused("portfolio", "two.csv") == (
        "two.csv holds several currencies (MSFT in USD, VOD.L in GBp): one was needed. Name the rate in a column fx, "
        "such as GBPUSD=X beside VOD.L, and forecast that rate, too."
    )


def test_a_rate_is_one_more_thing_that_moves(workspace: Path) -> None:
    words = ("VOD.L", "GBPUSD=X", "MSFT", "2023-07-21", "--source", "simulated")
    assert run("forecast", *words).exit_code == 0
    Path("two.csv").write_text("symbol,shares,fx\nMSFT,1,\nVOD.L,100,GBPUSD=X\n")

    found = json.loads(run("portfolio", "two.csv", "--json").stdout)

    prices = {made["symbol"]: made["last_close"] for made in json.loads(run("forecast", *words, "--json").stdout)}
    assert found["currency"] == "USD"
    assert found["holdings"][1]["value"] == pytest.approx(prices["VOD.L"] * prices["GBPUSD=X"])
    assert found["value"] == pytest.approx(found["holdings"][1]["value"] + prices["MSFT"])


def test_a_symbol_that_was_forecast_much_later_does_not_hide_the_cutoff_that_all_share(forecast: Path) -> None:
    Path("three.csv").write_text(HOLDINGS)
    assert run("forecast", "MSFT", "2010-08-16", "--source", "sample").exit_code == 0

    for words in (["portfolio", "three.csv"], ["report", "--holdings", "three.csv"]):
        assert refused(*words).endswith("; or ask for 2010-06-30, the newest date before that has them.")
    assert "worth 2,255.30 USD on 2010-06-30" in run("portfolio", "three.csv", "--as-of", "2010-06-30").stdout


def test_the_remedy_names_a_date_on_which_all_trade(workspace: Path) -> None:
    assert run("forecast", "MSFT", "BTC-USD", "2023-07-22", "--source", "simulated").exit_code == 0

    assert refused("paths", "MSFT", "BTC-USD").endswith("Run: tickercast forecast MSFT BTC-USD 2023-07-21.")


def test_a_forecast_whose_simulated_bars_are_left_out_is_refused(forecast: Path) -> None:
    assert run("forecast", "IBM", "2023-07-21", "--source", "simulated").exit_code == 0
    Path("one.csv").write_text("symbol,shares\nIBM,1\n")

    said = refused("odds", "IBM", "100", "--as-of", "2023-07-21")
    assert said.endswith("; or ask for 2010-06-30, the newest date before that has them.")
    failed = run("portfolio", "one.csv", "--record", "--from", "2023-01-01")
    assert isinstance(failed.exception, TooFewSessions), failed.output
    assert "simulated ones are left out once a symbol has real ones. Run: tickercast forecast IBM DATE." in str(
        failed.exception
    )


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["odds", "MSFT"], "One question was needed"),
        (["odds", "MSFT", "24", "--chance", "0.1"], "One question was needed"),
        (["odds", "MSFT", "--chance", "10"], "A chance of 10 was seen, and a share from 0.005 to 0.995 was needed"),
        (["odds", "MSFT", "--chance", "0.001"], "2,000 paths cannot tell smaller chances apart"),
        (["odds", "MSFT", "inf"], "inf is no price: a finite number above 0 was needed"),
        (["odds", "MSFT", "nan"], "nan is no price: a finite number above 0 was needed"),
        (["odds", "MSFT", "--between", "22", "inf", "--json"], "inf is no price"),
        (["odds", "MSFT", "0"], "is no price: a finite number above 0 was needed"),
        (["odds", "MSFT", "--between", "24", "22"], "the lower price was needed first"),
        (["odds", "MSFT", "24", "--by", "2023-01-02"], "reaches from 2010-07-01 to 2010-07-15"),
        (["odds", "ORCL", "24"], "ORCL has no stored forecast of days: one was needed"),
        (
            ["odds", "MSFT", "24", "--as-of", "2010-01-03"],
            "No cutoff from 2009-12-24 to 2010-01-03 has stored forecasts of MSFT, and one was needed. Run: tickercast "
            "forecast MSFT 2009-12-31.",
        ),
        (
            ["paths", "MSFT", "IBM", "--as-of", "2010-08-01"],
            "No cutoff from 2010-07-22 to 2010-08-01 has stored forecasts of all of MSFT, IBM, and one was needed. "
            "Run: tickercast forecast MSFT IBM 2010-07-30; or ask for 2010-06-30, the newest date before that has "
            "them.",
        ),
        (["paths"], "No symbol was given"),
        (
            ["paths", "MSFT", "--parquet", "nowhere/p.parquet"],
            "nowhere/p.parquet: there is no folder nowhere. Create it",
        ),
        (["paths", "MSFT", "--parquet", "p.csv"], "--parquet 'p.csv' does not end in .parquet or .pq"),
        (["portfolio", "none.csv"], "none.csv cannot be read: No such file or directory"),
    ],
)
def test_what_cannot_be_answered_is_said(words: list[str], sentence: str, forecast: Path) -> None:
    assert sentence in refused(*words)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "symbol,shares,fx\nMSFT,1,GBPUSD=X\n",
            "GBPUSD=X gives USD, in which MSFT is quoted already: no rate was needed",
        ),
        (
            "symbol,shares,fx\nMSFT,1,USDUSD=X\n",
            "USDUSD=X gives USD, in which MSFT is quoted already: no rate was needed",
        ),
        ("symbol,shares,fx\nMSFT,1,GBPEUR=X\n", "a rate such as USDEUR=X was needed"),
        ("", "h.csv begins with nothing: the titles symbol,shares were needed"),
        ("ticker;n\n", "h.csv begins with ticker;n: the titles symbol,shares were needed"),
        ("symbol,shares\n", "0 holdings were seen in h.csv, and one to 500 were needed: lines of symbol,shares"),
        ("symbol,shares,shares\nMSFT,1,2\n", "the titles symbol,shares were needed, each once"),
        ("symbol,shares\nMSFT,1,000\n", "h.csv, line 2 has 3 cells, and the titles are 2"),
        ("symbol,shares\nMSFT,1\n,\n", "h.csv, line 3: '' is not a symbol"),
        ("symbol,shares\nMSFT,many\n", "h.csv, line 2: many is no number of shares"),
        ("symbol,shares\nMSFT,0\n", "h.csv, line 2: 0 is no number of shares"),
        ("symbol,shares\nMSFT,-1e308\n", "-1e308 is no number of shares: one from 1e-18 to 1e+15 was needed"),
        ("symbol,shares\nMSFT,1e-300\n", "line 2: 1e-300 is no number of shares"),
        ("symbol,shares\nMSFT,inf\n", "line 2: inf is no number of shares"),
        ("symbol,shares\nMSFT\n", "h.csv, line 2: nothing is no number of shares"),
        ("symbol,shares\nMSFT,1\nMSFT,2\n", "h.csv has MSFT twice"),
        ("symbol,shares,fx\nVOD.L,1,EURUSD=X\n", "EURUSD=X is the price of EUR, and VOD.L is quoted in GBp"),
    ],
)
def test_a_file_that_is_no_portfolio(text: str, sentence: str, workspace: Path) -> None:
    Path("h.csv").write_text(text)

    assert sentence in refused("portfolio", "h.csv")
