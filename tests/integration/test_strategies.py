"""Universes, signals and backtests from start to end: the page's own commands, no look-ahead, and zipline's equity."""

import html
import importlib.util
import inspect
import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import matplotlib
import numpy as np
import pandas as pd
import pytest
from benchmarks.bench_strategies import difference
from click.testing import Result
from typer.testing import CliRunner

from tickercast.app import App, read_symbols, variants_of
from tickercast.app.strategies import variants_named
from tickercast.cli import app as cli
from tickercast.config import Settings
from tickercast.domain.bars import Bars, Reading
from tickercast.domain.calendar import sessions_between
from tickercast.domain.files.price_files import to_csv
from tickercast.domain.frequency import HOURLY
from tickercast.domain.hourly.direction_inputs import LEAST
from tickercast.domain.trading.strategy import Decision
from tickercast.domain.trading.strategy_backtest import Costs
from tickercast.domain.trading.universe import SURVIVORS, Members, always, read_members
from tickercast.errors import EngineUnusable, Permanent, UsageError
from tickercast.jobs.daily.choose_universe import choose_universe
from tickercast.jobs.training.walk_signals import walk_signals
from tickercast.models.baselines import EwmaT
from tickercast.show.sentences import NOT_ADVICE
from tickercast.show.strategies import months, notes

PROJECT = Path(__file__).parents[2]
PAGE = (PROJECT / "docs" / "strategies.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(console|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def run(*words: str) -> Result:
    return CliRunner(env={"COLUMNS": "120"}).invoke(cli, list(words))


def test_the_page_runs_offline_from_start_to_end(workspace: Path) -> None:
    for kind, body in BLOCK.findall(PAGE):
        if kind == "python":
            Path("my.py").write_text(body)
            continue
        shown: list[str] = []
        for line in body.splitlines():
            if not line.startswith("$ "):
                assert line in shown
                continue
            command = line.removeprefix("$ ").removesuffix(" > /dev/null")
            if command.startswith("tickercast "):
                done = run(*shlex.split(command)[1:])
                assert done.exit_code == 0, done.output
                shown = [each.rstrip() for each in done.stdout.splitlines()]
            else:
                subprocess.run(["sh", "-c", command], check=True)


def test_the_account_is_that_of_zipline() -> None:
    kept = json.loads((PROJECT / "benchmarks" / "zipline.json").read_text())
    assert len(kept["scenarios"]) == 5
    assert all(len(each["equity"]) == 90 for each in kept["scenarios"].values())
    assert difference(kept) <= 1e-9


# ---------------------------------------------------------------- the universe


def chosen(service: App, members: Members, as_of: date, reading: Reading, by: str = "return", **more: Any) -> Any:
    given: dict[str, Any] = {"over": 60, "top": 2, "held": [], **more}
    return choose_universe(
        members, as_of, reading=reading, by=by, warehouse=service.warehouse, now=service.now(), **given
    )


EVERYBODY = read_members("symbol,from,to\nMSFT,,\nAAPL,,\nGOOG,,\nIBM,,2010-12-31\nFB,2012-05-18,\n", "members.csv")


@pytest.mark.parametrize("by", ["return", "volatility", "volume"])
def test_a_universe_looks_at_no_bar_after_its_date(workspace: Path, by: str) -> None:
    service, day = App(), date(2010, 6, 30)
    data = service.market_data("sample")
    until, after = (
        data.fetch(EVERYBODY.symbols[:4], date(2009, 1, 1), last, advance=lambda _: None)
        for last in (day, date(2012, 1, 1))
    )
    made, again = (chosen(service, EVERYBODY, day, reading, by).rows for reading in (until, after))
    assert made == again
    assert [row.rank for row in made] == [1, 2]
    bars = {symbol: until[symbol].rows(len(until[symbol]) - 61, len(until[symbol])) for symbol in until}
    returns = {symbol: np.diff(np.log(each.columns["adj_close"])) for symbol, each in bars.items()}
    expected = {
        "return": {
            symbol: each.columns["adj_close"][-1] / each.columns["adj_close"][0] - 1 for symbol, each in bars.items()
        },
        "volatility": {symbol: each.std(ddof=1) for symbol, each in returns.items()},
        "volume": {
            symbol: (each.columns["close"] * each.columns["volume"])[1:].mean() for symbol, each in bars.items()
        },
    }[by]
    best = sorted(expected, key=lambda symbol: -expected[symbol])[:2]
    assert [row.symbol for row in made] == best
    assert [row.score for row in made] == pytest.approx([expected[symbol] for symbol in best])


def test_a_member_whose_source_reports_no_volumes_is_not_ranked_by_them(workspace: Path) -> None:
    service, day = App(), date(2010, 6, 30)
    found = service.market_data("sample").fetch(["MSFT", "AAPL"], date(2009, 1, 1), day, advance=lambda _: None)
    silent = found["AAPL"]
    silent = Bars("AAPL", {**silent.columns, "volume": np.zeros(len(silent))})
    made = chosen(service, always(["MSFT", "AAPL"]), day, {"MSFT": found["MSFT"], "AAPL": silent}, "volume")
    assert [row.symbol for row in made.rows] == ["MSFT"]
    assert made.failures["AAPL"].startswith("AAPL has bars without a volume: one of each was needed to rank it")


def test_a_universe_is_stored_once_and_who_was_no_member_then_is_not_in_it(workspace: Path) -> None:
    Path("members.csv").write_text("symbol,from,to\nMSFT,,\nAAPL,,\nIBM,,2010-12-31\nFB,2012-05-18,\n")
    words = ("universe", "--from", "members.csv", "--top", "3", "--as-of", "2012-06-29", "--source", "sample")
    assert run(*words).exit_code == run(*words).exit_code == 0
    rows = App().tables.read("universes")
    assert sorted(rows["symbol"]) == ["AAPL", "MSFT"]
    assert set(rows["rule"]) == {"top 3 by return over 60 sessions"}
    assert rows["point_in_time"].all()
    assert set(rows["members"]) == {2}


def test_the_watchlist_is_taken_by_the_daily_run_and_survivors_are_named(workspace: Path) -> None:
    Path("members.csv").write_text("symbol\nMSFT\nAAPL\nGOOG\nFB\n")
    Path("holdings.csv").write_text("symbol,shares\nIBM,10\nGOOG,5\n")
    words = (
        "--top",
        "1",
        "--by",
        "volatility",
        "--as-of",
        "2012-06-29",
        "--source",
        "sample",
        "--keep",
        "holdings.csv",
    )
    done = run("universe", "--from", "members.csv", *words, "--out", "mine.txt")
    assert done.exit_code == 0, done.output
    assert SURVIVORS in done.stdout
    assert "ranked by" in done.stdout
    assert "FB has 30 bars up to 2012-06-29: 61 were needed" in done.stdout
    symbols = read_symbols("mine.txt")
    assert len(symbols) == 3
    assert {"IBM", "GOOG"} <= set(symbols)
    assert App(Settings(watchlist="mine.txt")).watchlist() == symbols
    Path("own.txt").write_text("MSFT\n")
    refused = run("universe", "--from", "members.csv", *words, "--out", "own.txt")
    assert "own.txt exists, and is no watchlist that tickercast universe has written" in str(refused.exception)
    assert Path("own.txt").read_text() == "MSFT\n"
    held = App().tables.read("universes").set_index("symbol")["is_held"]
    assert held["IBM"]


def test_members_are_ranked_by_skill_from_scores_that_had_come_true(workspace: Path) -> None:
    app = App()
    app.forecast(["MSFT", "AAPL"], "2012-06-29", source="sample")
    app.forecast(["MSFT", "AAPL"], "2012-07-31", source="sample")
    Path("members.csv").write_text("symbol\nMSFT\nAAPL\n")
    scores = app.query("SELECT symbol, model_has_seen FROM forecast_scores WHERE role = 'champion'")
    assert set(scores["symbol"]) == {"MSFT", "AAPL"}
    found = app.universe("members.csv", date(2012, 7, 31), by="skill")
    assert {row.symbol for row in found.rows} == {"MSFT", "AAPL"}
    early = run("universe", "--from", "members.csv", "--by", "skill", "--as-of", "2012-07-01")
    assert isinstance(early.exception, Permanent)
    assert "No forecast of MSFT came true between" in str(early.exception)


@pytest.mark.parametrize(("over", "first"), [(2, date(2012, 7, 12)), (8, date(2012, 7, 3)), (9, date(2012, 7, 2))])
def test_skill_is_that_of_as_many_sessions_as_were_asked_for(workspace: Path, over: int, first: date) -> None:
    app, last = App(), date(2012, 7, 13)
    app.forecast(["MSFT"], "2012-06-29", source="sample")
    app.forecast(["MSFT"], "2012-07-31", source="sample")
    assert len(sessions_between("MSFT", first, last)) == over
    Path("members.csv").write_text("symbol\nMSFT\n")
    scores = app.query("SELECT target_date, loss, walk_loss, scale FROM forecast_scores WHERE role = 'champion'")
    of_these = scores[pd.to_datetime(scores["target_date"]).between(str(first), str(last))]
    assert len(of_these) == over
    loss, walk_loss = (of_these[name] / of_these["scale"] for name in ("loss", "walk_loss"))
    [row] = app.universe("members.csv", last, by="skill", over=over).rows
    assert row.score == pytest.approx(1 - loss.sum() / walk_loss.sum())


@pytest.mark.parametrize(("hour", "first"), [(19, "2023-07-19"), (20, "2023-07-20")])
def test_a_session_that_is_not_over_is_none_of_those_asked_for(workspace: Path, hour: int, first: str) -> None:
    given: dict[str, Any] = {"reading": Reading(), "by": "skill", "over": 2, "top": 1, "held": []}
    now, day = datetime(2023, 7, 21, hour, tzinfo=UTC), date(2023, 7, 21)
    with pytest.raises(UsageError, match=f"No forecast of MSFT came true between {first} and 2023-07-21"):
        choose_universe(always(["MSFT"]), day, warehouse=App().warehouse, now=now, **given)


# ---------------------------------------------------------------- signals


@pytest.fixture
def stored(workspace: Path) -> App:
    app = App()
    for day in ("2012-07-26", "2012-07-27", "2012-07-30", "2012-07-31", "2012-08-01"):
        app.forecast(["MSFT", "AAPL"], day, source="sample")
    return app


def test_a_live_signal_is_what_the_backtest_of_stored_forecasts_decides_there(stored: App) -> None:
    variants = variants_of(["volatility-target", "interval-momentum:threshold=0.1"])
    decided: dict[str, Any] = {}

    def spy(one: Any) -> Any:
        def decide(known: Any, **parameters: float) -> Any:
            made = one.decide(known, **parameters)
            decided[one.name] = known.cutoff, made.weights
            return made

        return decide

    spied = [replace(one, decide=spy(one)) for one in variants]
    found = stored.strategy_backtest(spied, date(2012, 7, 26), date(2012, 8, 1))
    live = stored.strategy_targets(variants, as_of=date(2012, 8, 1))
    assert found.panel.symbols == live.panel.symbols == ["AAPL", "MSFT"]
    for one, each in live.wanted:
        cutoff, weights = decided[one.name]
        assert cutoff == date(2012, 8, 1)
        assert [weight for weight, _ in each] == weights.tolist()


@pytest.mark.usefixtures("bigquery_server")
def test_strategies_say_the_same_on_bigquery(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = []
    for warehouse in (f"duckdb://{workspace}/w.duckdb", "bigquery://project/strategies"):
        monkeypatch.setenv("TICKERCAST_WAREHOUSE", warehouse)
        monkeypatch.setenv("TICKERCAST_BUCKET", f"file://{workspace}/{len(said)}")
        for day in ("2012-07-30", "2012-07-31"):
            assert run("forecast", "MSFT", "AAPL", day, "--source", "sample").exit_code == 0
        chosen = ("volatility-target", "--symbols", "MSFT,AAPL")
        done = [
            run("strategy", "signals", *chosen, "--as-of", "2012-07-31"),
            run("strategy", "backtest", *chosen, "--from", "2012-07-30", "--to", "2012-08-15"),
            run("trade", "--strategy", *chosen, "--as-of", "2012-07-31", "--dry-run"),
        ]
        assert [each.exit_code for each in done] == [0, 0, 0]
        said.append([each.output for each in done])
    assert said[0] == said[1]


def test_a_live_signal_lasts_as_long_as_its_horizon_holidays_included(workspace: Path) -> None:
    app, last = App(), date(2012, 7, 10)
    for day in ("2012-06-26", str(last)):  # nine sessions, round a holiday
        app.forecast(["MSFT", "AAPL"], day, source="sample")
    with duckdb.connect(workspace / ".tickercast" / "warehouse.duckdb") as connection:
        connection.execute("DELETE FROM forecasts WHERE symbol = 'MSFT' AND cutoff = ?", [last])
    [made] = variants_of(["volatility-target"])
    live = app.strategy_targets([made], ["AAPL", "MSFT"], last, held={"MSFT": 0.2})
    assert live.panel.symbols == ["AAPL", "MSFT"]
    [(_, [_, (weight, reason)])] = live.wanted
    assert np.isnan(weight)
    assert reason == "no new forecast: left as it is"
    backtest = app.strategy_backtest([made], date(2012, 6, 26), last, symbols=["AAPL", "MSFT"])
    assert backtest.panel.age[-1].tolist() == live.panel.age[-1].tolist() == [0, 9]


def test_signals_of_requested_forecasts_are_seen_where_their_model_was_trained_on_the_date(stored: App) -> None:
    bundle = stored.models.champion()
    through = {"trained_through": date(2012, 7, 30), "version": "2", "reference_sha256": ""}
    stored.models.write(replace(bundle, card=bundle.card.model_copy(update=through)))
    stored.models.point(stored.models.pointer().model_copy(update={"version": "2"}))
    app = App()
    for day in ("2012-07-30", "2012-08-01"):
        app.forecast(["GOOG"], day, source="sample")
    found = app.strategy_backtest(
        variants_of(["volatility-target"]), date(2012, 7, 26), date(2012, 8, 1), symbols=["GOOG"]
    )
    assert found.panel.seen[found.start :].sum() == 1
    found = app.strategy_backtest(
        variants_of(["interval-momentum"]), date(2012, 7, 26), date(2012, 8, 1), symbols=["MSFT"]
    )
    assert "Of 5 signals, 5 are of dates that the model was trained on." in list(notes(found))


def test_a_symbol_without_a_signal_or_a_universe_without_members_says_what_is_missing(stored: App) -> None:
    none = run("strategy", "signals", "volatility-target", "--symbols", "IBM", "--as-of", "2012-08-01")
    assert isinstance(none.exception, Permanent)
    assert "No signal of IBM is stored from 2012-06-17 to 2012-08-01" in str(none.exception)
    Path("members.csv").write_text("symbol,from,to\nMSFT,,\nAAPL,,2012-07-27\n")
    done = run(
        *("strategy", "signals", "volatility-target", "--universe", "members.csv", "--as-of", "2012-08-01", "--json")
    )
    [targets] = [each["targets"] for each in json.loads(done.stdout)["strategies"]]
    assert targets[0] == {"symbol": "AAPL", "weight": 0.0, "reason": "no member of the universe"}
    assert targets[1]["weight"] > 0


def test_a_simulated_signal_is_not_traded_beside_real_bars(workspace: Path) -> None:
    service, [made] = App(), variants_of(["buy-and-hold"])
    service.forecast(["MSFT", "AAPL"], "2012-06-15", source="sample")
    service.forecast(["AAPL"], "2012-08-14", source="sample")
    service.forecast(["MSFT"], "2012-08-14", source="simulated")
    found = service.strategy_targets([made], ["MSFT", "AAPL"], date(2012, 8, 14))
    assert found.panel.symbols == ["AAPL"]
    assert list(found.missing) == ["MSFT"]
    service.forecast(["AAPL"], "2023-07-21", source="simulated")  # long after its last real bar
    none = (
        r"No signal of AAPL is stored from .* to 2023-07-21, and at least one was needed\. Simulated ones are left out "
        r"once a symbol has real bars\. Run: tickercast forecast TICKER DATE\."
    )
    for words in (
        ("strategy", "signals", "buy-and-hold", "--as-of", "2023-07-21"),
        ("strategy", "backtest", "buy-and-hold", "--from", "2023-07-03", "--to", "2023-07-21"),
        ("trade", "--strategy", "buy-and-hold", "--as-of", "2023-07-21", "--dry-run"),
    ):
        refused = run(*words, "--symbols", "AAPL")
        assert isinstance(refused.exception, UsageError)
        assert re.match(none, str(refused.exception))


def test_stored_bars_of_nobody_are_a_sentence(stored: App) -> None:
    words = ("--from", "2020-01-02", "--to", "2020-03-02", "--source", "stored", "--symbols", "MSFT")
    refused = run("strategy", "backtest", "buy-and-hold", *words)
    assert isinstance(refused.exception, UsageError)
    assert "No bar of MSFT is stored from" in str(refused.exception)


def test_a_gap_of_years_between_stored_files_is_no_session(workspace: Path) -> None:
    app = App()
    for day in ("2006-06-30", "2012-08-15"):
        app.forecast(["MSFT", "AAPL"], day, source="sample")
    for source in ("", "stored"):
        with pytest.raises(UsageError, match="No bar is known between 2006-06-30 and 2009-08-17"):
            app.strategy_backtest("volatility-target", date(2006, 6, 30), date(2012, 8, 15), source=source)
    since = app.strategy_backtest("buy-and-hold", date(2009, 8, 17), date(2012, 8, 15))
    assert since.panel.ends[0] == np.datetime64("2009-08-17")
    run = since.results[0].net
    assert np.flatnonzero(run.traded).tolist() == [1]
    assert run.weights.sum(axis=1).max() <= 1


def test_all_stored_bars_are_walked_where_no_symbol_is_named(stored: App) -> None:
    words, period = variants_of(["buy-and-hold"]), (date(2012, 7, 26), date(2012, 8, 1))
    stored.forecast("IBM", "2012-08-01", source="simulated")
    found = stored.strategy_backtest(words, *period, source="stored")
    assert found.panel.symbols == ["AAPL", "MSFT"]  # simulated bars are left out beside real ones
    assert stored.strategy_targets(words, as_of=period[1]).panel.symbols == ["AAPL", "MSFT"]
    assert stored.strategy_targets(words, ["msft", "MSFT"], period[1]).panel.symbols == ["MSFT"]
    assert stored.strategy_targets(words, ["IBM"], period[1]).panel.simulated
    with pytest.raises(UsageError, match=r"No bar is stored from .* to 1990-02-01, and some were needed"):
        stored.strategy_backtest(words, date(1990, 1, 2), date(1990, 2, 1), source="stored")


def test_a_symbol_that_was_named_and_has_no_signal_is_said(stored: App) -> None:
    words = ("--symbols", "MSFT,NOPE", "--json")
    done = run("strategy", "signals", "buy-and-hold", "--as-of", "2012-08-01", *words)
    [targets] = [each["targets"] for each in json.loads(done.stdout)["strategies"]]
    why = "left out: no signal is stored from 2012-06-17 to 2012-08-01"
    assert targets[1:] == [{"symbol": "NOPE", "weight": None, "reason": why}]
    Path("members.csv").write_text("symbol,from,to\nMSFT,,\nNOPE,,\nTYPO,,\nGONE,,2012-07-25\n")
    period = ("--from", "2012-07-26", "--to", "2012-08-01", "--json")
    for more in (words[:2], ("--universe", "members.csv"), (*words[:2], "--source", "stored")):
        done = run("strategy", "backtest", "buy-and-hold", *period, *more)
        said = [note for note in json.loads(done.stdout)["notes"] if "left out" in note]
        assert [note.partition(" is stored")[0] for note in said] in (
            ["NOPE was left out. No signal"],
            ["NOPE, TYPO were left out. No signal"],
            ["NOPE was left out. No bar of NOPE"],
        )


# ---------------------------------------------------------------- backtests


WORDS = ("--from", "2012-01-03", "--to", "2012-06-28", "--source", "sample", "--symbols", "MSFT,IBM")


def test_every_result_ends_with_a_sentence_and_no_advice(workspace: Path) -> None:
    done = run("strategy", "backtest", "volatility-target", "always-flat", *WORDS, "--out", "account.csv", "--json")
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    held, flat = report["strategies"]
    assert flat["verdict"] == "always-flat: no edge after costs. It never traded."
    assert held["verdict"].startswith("volatility-target: no edge after costs. 124 bars are too few")
    assert held["net_return"] < held["gross_return"]
    assert report["notes"][-1] == NOT_ADVICE
    assert SURVIVORS in report["notes"]
    assert report["tried"] == 2
    lines = Path("account.csv").read_text().splitlines()
    assert lines[0] == "strategy,hash,bar,equity,gross_equity,drawdown,weight_MSFT,weight_IBM"
    assert len(lines) == 1 + 2 * 124


def test_a_page_holds_the_verdict_the_accounts_and_their_months(workspace: Path) -> None:
    Path("my.py").write_text(
        "import numpy as np\nfrom tickercast import Decision\n"
        "def decide(known):\n    return Decision(np.full(len(known.symbols), 0.4), lambda n: '<b>')\n"
    )
    words = ("--from", "2010-01-04", "--to", "2012-06-28", "--source", "sample", "--symbols", "MSFT,IBM")
    done = run("strategy", "backtest", "always-flat", "--from-file", "my.py:decide", *words, "--report", "page.html")
    assert done.exit_code == 0, done.output
    page = Path("page.html").read_text()
    assert "always-flat, my.decide: no edge after costs</h1>" in page
    assert "always-flat: no edge after costs. It never traded." in page
    assert NOT_ADVICE in page
    assert page.count("<svg") == 2  # a wide one and one for phones
    assert not re.findall(r'(?:src|href)="(?!data:|#)', page)
    found = App().strategy_backtest(
        variants_of([], ["my.py:decide"]), date(2010, 1, 4), date(2012, 6, 28), source="sample", symbols=["MSFT", "IBM"]
    )
    [result] = found.results
    shown = months(result)
    assert list(shown[""]) == [2010, 2011, 2012]
    assert shown.loc[2, "Jul"] == "–"
    years = [1 + float(each.rstrip("%")) / 100 for each in shown["year"]]
    assert np.prod(years) - 1 == pytest.approx(result.net_return, abs=3e-3)


@pytest.fixture
def quantstats() -> Iterator[Any]:
    """The library, whose import changes matplotlib's fonts and colours."""
    with matplotlib.rc_context():
        yield pytest.importorskip("quantstats", reason="the extra `tearsheet` is not installed")


@pytest.mark.usefixtures("quantstats")
def test_a_tear_sheet_has_the_account_s_figures_under_the_verdict(workspace: Path) -> None:
    done = run(
        "strategy", "backtest", "volatility-target", "buy-and-hold", *WORDS, "--tearsheet", "sheet.html", "--json"
    )
    assert done.exit_code == 0, done.output
    held, bought = json.loads(done.stdout)["strategies"]
    page = html.unescape(Path("sheet.html").read_text())
    assert page.index(held["verdict"]) < page.index(NOT_ADVICE) < page.index("Cumulative Return")
    shown = re.search(r">Cumulative Return\s*<.*?>\s*([-\d.]+)%.*?>\s*([-\d.]+)%", page, re.DOTALL)
    assert shown is not None
    assert [float(each) / 100 for each in shown.groups()] == pytest.approx(
        [bought["net_return"], held["net_return"]], abs=1e-4
    )
    assert page.count("<svg") > 10
    assert set(re.findall(r'(?:src|href)="(?!data:|#)([^"]*)', page)) == {"http://quantstats.io"}  # a link to read
    assert not re.search(r"<script|onload=|@import|url\(http", page)


def test_a_tear_sheet_that_cannot_be_drawn_is_a_sentence(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, quantstats: Any
) -> None:
    flat = run("strategy", "backtest", "always-flat", *WORDS, "--tearsheet", "sheet.html")
    assert "always-flat never traded, and a tear sheet needs returns." in str(flat.exception)

    def fail(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr(quantstats.reports, "html", fail)
    broken = run("strategy", "backtest", "buy-and-hold", *WORDS, "--tearsheet", "sheet.html")
    assert isinstance(broken.exception, EngineUnusable)
    assert re.search(r"quantstats .* cannot draw these returns \(ZeroDivisionError: by zero\)", str(broken.exception))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    missing = run("strategy", "backtest", "buy-and-hold", *WORDS, "--tearsheet", "sheet.html")
    assert "A tear sheet needs quantstats, which is not installed." in str(missing.exception)
    assert not Path("sheet.html").exists()


def test_a_tear_sheet_of_hours_counts_days(workspace: Path) -> None:
    from tickercast.backends.tearsheet_quantstats import _daily, _days_a_year

    found = App().strategy_backtest(
        variants_of(["buy-and-hold"]),
        date(2022, 5, 2),
        date(2022, 5, 16),
        source="simulated",
        symbols=["BTC-USD"],
        frequency=HOURLY,
    )
    days = _daily(found.results[0])
    assert _days_a_year(found.results[0]) == 365
    assert float(np.prod(1 + days)) - 1 == pytest.approx(found.results[0].net_return, rel=1e-9)
    assert (days.index[-1].date(), len(days)) == (date(2022, 5, 16), (days.index[-1] - days.index[0]).days + 1)


def steady(known: Any, *, share: float = 0.5) -> Decision:
    """Hold a part of an equal share."""
    return Decision(np.full(len(known.symbols), share * known.share), lambda n: "a part of an equal share")


def test_a_program_names_strategies_as_the_command_line_does_or_gives_functions(workspace: Path) -> None:
    Path("my.py").write_text(f"import numpy as np\nfrom tickercast import Decision\n{inspect.getsource(steady)}")
    Path("my.py").write_text(Path("my.py").read_text().replace(": Any", ""))
    app, given = App(), {"source": "sample", "symbols": ["MSFT", "AAPL"]}
    period = "2012-06-25", "2012-06-28"
    named = ["buy-and-hold", "buy-and-hold", "my.py:steady:share=0.25", steady, partial(steady, share=0.25), steady]
    found = app.strategy_backtest([*named, *variants_of(["always-flat"])], *period, **given).results
    own = "test_strategies.steady"
    assert [one.variant.name for one in found] == [
        *("buy-and-hold", "my.steady:share=0.25", own, f"{own}:share=0.25", "always-flat")
    ]
    assert found[1].net.equity.tolist() == found[3].net.equity.tolist() != found[2].net.equity.tolist()
    assert len({one.variant.hash for one in found}) == 5
    [alone] = app.strategy_backtest(steady, *period, **given).results
    assert alone.net.equity.tolist() == found[2].net.equity.tolist()


def test_a_function_is_as_good_as_its_name_on_the_command_line(stored: App) -> None:
    [(one, wanted)] = stored.strategy_targets(steady, as_of="2012-08-01").wanted
    assert (one.name, wanted[0]) == ("test_strategies.steady", (0.25, "a part of an equal share"))
    ordered = stored.trade(steady, symbols=["AAPL", "MSFT"], as_of="2012-08-01", dry=True)
    named = stored.trade(f"{__file__}:steady", symbols=["AAPL", "MSFT"], as_of="2012-08-01", dry=True)
    assert ordered.account == named.account
    assert stored.trade("buy-and-hold", symbols="MSFT", as_of="2012-08-01", dry=True).account


def test_functions_that_cannot_be_told_apart_are_refused() -> None:
    def made(share: float) -> Any:
        return lambda known: Decision(np.full(len(known.symbols), share), str)

    with pytest.raises(UsageError, match=r"Two functions have the name test_strategies\.lambda and the same text"):
        variants_named([made(0.1), made(0.2)])


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"step": 0}, "step is 0: a whole number, 1 or more, was needed."),
        ({"tried": -4}, "tried is -4: a whole number, 0 or more, was needed."),
        ({"variants": []}, "No strategy was named, and at least one was needed"),
        ({"variants": "momentum"}, "'momentum' is no strategy"),
        ({"variants": "my.py:"}, "The strategy is 'my.py:': FILE.py:FUNCTION was needed"),
        ({"first": "2012-07-01"}, "The first date, 2012-07-01, is after the last, 2012-06-28. Swap them."),
        ({"last": "tomorrow"}, "'tomorrow' is not a date"),
    ],
)
def test_what_a_backtest_cannot_take_is_a_sentence(workspace: Path, given: dict[str, Any], sentence: str) -> None:
    usual = {"variants": "always-flat", "first": "2012-06-25", "last": "2012-06-28", "source": "sample"}
    with pytest.raises(UsageError, match=sentence):
        App().strategy_backtest(**{**usual, **given})


def test_costs_are_the_users_and_free_trading_is_the_gross_result(workspace: Path) -> None:
    app, variants = App(), variants_of(["buy-and-hold"])
    given: dict[str, Any] = {"source": "sample", "symbols": ["MSFT"]}
    free = app.strategy_backtest(variants, date(2012, 1, 3), date(2012, 6, 28), costs=Costs(0, 0, 0), **given)
    paid = app.strategy_backtest(variants, date(2012, 1, 3), date(2012, 6, 28), **given)
    assert free.results[0].net_return == free.results[0].gross_return == paid.results[0].gross_return
    assert paid.results[0].net_return < paid.results[0].gross_return


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("momentum",), "'momentum' is no strategy"),
        ((), "No strategy was named"),
        (("direction",), "Directions are of hours: direction was named with daily bars. Add --every 1h."),
        (("--from-file", "nothing.py:decide"), "nothing.py cannot be read"),
        (("--from-file", "broken.py:decide"), "broken.py cannot be run: NameError"),
        (("--from-file", "exits.py:decide"), "exits.py cannot be run: SystemExit: 2. Correct it."),
        (("--from-file", "broken.py"), "FILE.py:FUNCTION was needed"),
        (("buy-and-hold", "--symbols", "NOPE"), "The sample does not hold NOPE"),
    ],
)
def test_what_cannot_be_backtested_ends_in_a_sentence(workspace: Path, words: tuple[str, ...], sentence: str) -> None:
    Path("broken.py").write_text("nonsense\n")
    Path("exits.py").write_text("import sys\nsys.exit(2)\n")
    done = run("strategy", "backtest", *WORDS, *words)
    assert isinstance(done.exception, Permanent)
    assert sentence in str(done.exception)


def test_what_was_left_out_of_the_bars_is_said_since_no_account_lived_through_it(workspace: Path) -> None:
    first, last = date(2012, 1, 3), date(2012, 6, 28)
    fetched = App().market_data("sample").fetch(["AAPL", "MSFT"], first, last, advance=lambda _: None)
    lost = fetched["AAPL"].frame
    lost.loc[40, ["open", "high", "low", "close", "adj_close"]] = -37.0
    (workspace / "odd").mkdir()
    (workspace / "odd" / "two.csv").write_bytes(to_csv([Bars("AAPL", lost), fetched["MSFT"]]))
    words = ["strategy", "backtest", "buy-and-hold", "--from", str(first), "--to", str(last), "--source", "odd"]
    done = run(*words, "--symbols", "AAPL,MSFT", "--json")
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)["notes"]
    assert "AAPL: left out: 1 zero or impossible bar(s) (2012-03-01)." in said
    assert any("counts as if that bar had never been" in each for each in said)
    whole = run(*words, "--symbols", "MSFT", "--json")
    assert "left out" not in whole.stdout


def test_signals_that_are_walked_see_no_later_bar() -> None:
    bars = (
        App().market_data("sample").fetch(["MSFT"], date(2010, 1, 1), date(2012, 1, 1), advance=lambda _: None)["MSFT"]
    )
    origins = bars.ends[300:320]
    whole, cut = (walk_signals(each, origins, model=EwmaT()) for each in (bars, bars.rows(0, 320)))
    assert len(whole.ends) == 20
    for name, values in whole.values.items():
        np.testing.assert_array_equal(values, cut.values[name])
    rows = np.r_[0:100, 200 : len(bars)]
    broken = Bars("MSFT", {name: values[rows] for name, values in bars.columns.items()})
    after, since = (walk_signals(each, origins, model=EwmaT()) for each in (broken, bars.rows(200, len(bars))))
    assert len(after.ends) == 20
    for name, values in after.values.items():  # nothing is seen over a gap either
        np.testing.assert_array_equal(values, since.values[name])


def test_the_shipped_direction_is_walked_hour_by_hour_and_earns_nothing_after_costs(workspace: Path) -> None:
    app = App(Settings(source="simulated"))
    found = app.strategy_backtest(
        variants_of(["direction"]),
        date(2023, 7, 1),
        date(2023, 7, 4),
        symbols=["BTCUSDT"],
        source="simulated",
        frequency=HOURLY,
    )
    [result] = found.results
    assert found.panel.simulated
    assert len(result.net.ends) == 96
    assert np.isfinite(found.panel.signals["prob_up"][found.start :]).all()
    assert found.start >= LEAST
    assert set(np.sign(result.net.weights[1:, 0]).tolist()) <= {-1.0, 1.0}
    assert not result.has_edge


# ---------------------------------------------------------------- what is served beside the champion


def test_directions_and_prophet_are_signals_where_they_are_served(workspace: Path) -> None:
    app = App(Settings(models="champion,xgb-direction,prophet", source="simulated"))
    app.forecast(["MSFT"], "2023-07-21")
    app.forecast(["BTCUSDT"], "2023-07-21 14:00", frequency=HOURLY.name)
    rows = app.query("SELECT * FROM signals").set_index("symbol")
    assert list(rows["steps"].loc[["MSFT", "BTCUSDT"]]) == [10, 24]
    made = app.query("SELECT * FROM forecast_history WHERE (frequency = '1d' AND step = 10) OR step = 24")
    for symbol, role, column, price in (
        ("MSFT", "champion", "expected_return", "close_median"),
        ("MSFT", "champion", "return_lo_80", "close_lo_80"),
        ("BTCUSDT", "champion", "return_hi_80", "close_hi_80"),
        ("MSFT", "companion", "prophet_return", "close_median"),
    ):
        [row] = made[(made["symbol"] == symbol) & (made["role"] == role)].to_dict("records")
        assert rows.loc[symbol, column] == pytest.approx(np.log(row[price] / row["last_close"]))
    stated = app.tables.read("directions")["prob_up"].item()
    assert rows.loc["BTCUSDT", "prob_up"] == stated
    assert np.isnan(rows.loc["MSFT", "prob_up"])
    [(_, [(weight, reason)])] = app.strategy_targets(
        variants_of(["direction"]), as_of=date(2023, 7, 21), frequency=HOURLY
    ).wanted
    assert weight == (1 if stated >= 0.5 else -1)
    assert f"{stated:.1%}" in reason
    [(_, [(weight, reason)])] = app.strategy_targets(variants_of(["prophet-trend"]), as_of=date(2023, 7, 21)).wanted
    assert weight == float(rows.loc["MSFT", "prophet_return"] > 0)
    assert reason.startswith("Prophet's line is")
