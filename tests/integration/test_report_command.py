"""Reports of forecasts that were just made, and of those that are stored, through the command line."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from tickercast.cli import app
from tickercast.errors import UsageError

CUTOFF = "2012-08-15"


def run(*words: str) -> str:
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture
def made(workspace: Path) -> Path:
    run("forecast", "MSFT", "AAPL", CUTOFF, "--source", "sample", "--report", "made.html")
    return workspace


def test_the_report_of_several_symbols_has_overview_and_widths(made: Path) -> None:
    page = (made / "made.html").read_text()
    assert page.index("<h2>Overview</h2>") < page.index("MSFT from 2012-08-15")
    assert page.count("Why the interval is so wide") == 2
    assert "Portfolio" not in page


def test_stored_forecasts_make_a_report_with_the_risk_of_holdings(made: Path) -> None:
    (made / "holdings.csv").write_text("symbol,shares\nAAPL,10\nMSFT,-5\n")
    said = run("report", "--holdings", "holdings.csv", "--out", "r.html")
    assert f"written: {made / 'r.html'}" in said
    page = (made / "r.html").read_text()
    assert "2 holdings worth" in page
    assert page.index("AAPL from 2012-08-15") < page.index("MSFT from 2012-08-15")
    run("report", "MSFT", "--out", "one.html")
    one = (made / "one.html").read_text()
    assert "MSFT from 2012-08-15" in one
    assert "Overview" not in one
    assert "sessions have closed since 2012-08-15: this forecast has expired." in one


def test_the_risk_of_holdings_says_that_their_forecasts_have_expired(made: Path) -> None:
    (made / "holdings.csv").write_text("symbol,shares\nAAPL,10\nMSFT,-5\n")
    printed = run("portfolio", "holdings.csv").splitlines()
    [said] = [line for line in printed if "sessions have closed since 2012-08-15: this forecast has expired." in line]
    assert said.startswith("AAPL, MSFT: ")
    run("report", "MSFT", "--holdings", "holdings.csv", "--out", "r.html")
    page = (made / "r.html").read_text()
    assert page.index("<h2>Portfolio</h2>") < page.index(said) < page.index("MSFT from 2012-08-15")


def test_a_stored_forecast_is_reported_with_its_results_day(workspace: Path) -> None:
    (workspace / "mine.csv").write_text("symbol,date,known_at\nMSFT,2012-08-16,2012-08-01\n")
    run("events", "fetch", "MSFT", "--source", "mine.csv")
    run("forecast", "MSFT", CUTOFF, "--source", "sample", "--report", "made.html")
    run("report", "MSFT", "--out", "stored.html")
    for name in ("made.html", "stored.html"):
        page = (workspace / name).read_text()
        assert "Results expected 2012-08-16, inside this horizon." in page, name
        assert "a dotted line at 2012-08-16, where results act" in page, name


def test_a_report_of_what_came_true_does_not_call_the_forecast_old(workspace: Path) -> None:
    run("forecast", "MSFT", CUTOFF, "--source", "sample", "--actual", "--report", "made.html")
    assert "has expired" not in (workspace / "made.html").read_text()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["report", "IBM"],
            "No forecast of days of IBM is stored, and this report needs one. Run: tickercast forecast IBM DATE.",
        ),
        (["report", "--as-of", "2012-01-03"], "No forecast of days is stored up to 2012-01-03"),
        (["report", "--out", "nowhere/r.html"], "there is no folder nowhere"),
        (["report", "--out", "r.pdf"], "--out 'r.pdf' does not end in .html or .htm"),
        (["report", "--holdings", "none.csv"], "none.csv cannot be read"),
    ],
)
def test_what_cannot_be_reported_is_a_sentence(made: Path, words: list[str], said: str) -> None:
    done = CliRunner().invoke(app, words)
    assert isinstance(done.exception, UsageError)
    assert said in str(done.exception)
    assert not (made / "report.html").exists()
