"""The statistical models: what they answer, and what a user sees where they cannot."""

import json
import tempfile
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.support.trading import shipped_bundle

from tickercast import cli
from tickercast.backends.market_data.simulated import Parameters, simulate
from tickercast.backends.object_store.local import LocalObjectStore
from tickercast.domain.bars import Bars
from tickercast.domain.distribution import student5
from tickercast.domain.forecast import Predictor
from tickercast.errors import Permanent, TooFewSessions, UsageError
from tickercast.model_store import ModelStore
from tickercast.models import catalogue, statistical

MakeBars = Callable[..., Bars]
NU5 = Parameters(mean=0, omega=8e-6, alpha=0.1, gamma=0, beta=0.87)


def available(name: str) -> Predictor:
    package = {model.name: model.package for model in statistical.ALL}[name]
    pytest.importorskip(package)
    return catalogue.statistical(name)


@pytest.fixture(params=catalogue.STATISTICAL)
def model(request: pytest.FixtureRequest) -> Predictor:
    return available(request.param)


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistical.importlib.util, "find_spec", lambda name: object())


def garch_history(sessions: int) -> tuple[Bars, float]:
    """A path of a GARCH process, and the standard deviation of the return that comes next."""
    returns, variances = simulate("SIM", sessions - 1, NU5)
    dates = pd.bdate_range(end=date(2023, 7, 21), periods=sessions).astype("datetime64[s]")
    prices = 100 * np.exp(np.concatenate([[0], np.cumsum(returns)]))
    columns = {"session_date": np.array(dates, "datetime64[D]"), "adj_close": prices}
    return Bars("SIM", columns), float(np.sqrt(variances[-1]))


def test_every_statistical_model_has_a_name_that_a_user_can_give() -> None:
    assert tuple(model.name for model in statistical.ALL) == catalogue.STATISTICAL


def test_an_answer_depends_on_its_own_history_alone_and_nothing_is_printed(
    model: Predictor, make_bars: MakeBars, capfd: pytest.CaptureFixture[str]
) -> None:
    one, other = make_bars(sessions=255), make_bars("AAPL", sessions=270, seed=3)
    both = model.predict([one, other])
    np.random.seed(1)
    state = np.random.get_state()[1].copy()
    np.testing.assert_array_equal(model.predict([other]), both[1:])
    np.testing.assert_array_equal(np.random.get_state()[1], state)
    assert both.shape == (2, 10, 13)
    assert (np.diff(both, axis=-1) > 0).all()
    assert capfd.readouterr() == ("", "")


def test_what_lies_before_the_tail_of_a_fit_changes_nothing(make_bars: MakeBars) -> None:
    model = available("auto-ets")
    bars = make_bars(sessions=600)
    np.testing.assert_array_equal(model.predict([bars]), model.predict([Bars("MSFT", bars.frame.iloc[-model.tail :])]))


def test_prices_in_another_unit_give_the_same_answer(make_bars: MakeBars) -> None:
    model = available("auto-theta")
    bars = make_bars(sessions=255)
    cents = Bars("MSFT", bars.frame.assign(adj_close=bars.frame["adj_close"] / 1024))
    np.testing.assert_allclose(model.predict([cents]), model.predict([bars]), atol=1e-6)


def test_garch_finds_the_volatility_of_a_garch_process() -> None:
    model = available("garch")
    for sessions in (1100, 1700, 2300):
        bars, sigma = garch_history(sessions)
        cone = model.predict([bars])[0]
        assert (cone[0, 10] - cone[0, 2]) / 2 == pytest.approx(sigma * student5(np.array([0.9]))[0], rel=0.12)
        assert cone[9, 10] - cone[9, 2] > 2 * (cone[0, 10] - cone[0, 2])


def test_garch_turns_to_its_long_run_volatility() -> None:
    model = available("garch")
    calm, wild = (max((garch_history(n) for n in range(1100, 1700, 20)), key=lambda at: s * at[1])[0] for s in (-1, 1))
    growth = [cone[9, 10] / cone[0, 10] for cone in model.predict([calm, wild])]
    assert growth[0] > np.sqrt(10) > growth[1]


def test_prophet_leaves_no_file_behind(make_bars: MakeBars, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = available("prophet")
    model.predict([make_bars(sessions=251)])  # the first import makes a folder that lasts until the process ends
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    model.predict([make_bars(sessions=251)])
    assert not list(tmp_path.iterdir())


def test_too_short_a_history_is_refused(model: Predictor, make_bars: MakeBars) -> None:
    with pytest.raises(TooFewSessions, match="at least 251"):
        model.predict([make_bars(sessions=250)])


@pytest.mark.usefixtures("installed")
def test_a_fit_that_fails_names_symbol_and_cutoff(make_bars: MakeBars, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(model: object, bars: Bars) -> None:
        raise np.linalg.LinAlgError("Singular matrix")

    monkeypatch.setattr(statistical.Garch, "_quantiles", fail)
    with pytest.raises(Permanent, match=r"garch cannot be fitted to MSFT up to 2023-07-21 .*Singular matrix"):
        statistical.Garch().predict([make_bars()])


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("row", [np.zeros(13), np.full(13, np.nan), np.append(np.arange(12.0), np.inf)])
def test_an_answer_that_is_no_distribution_is_a_failure(
    make_bars: MakeBars, monkeypatch: pytest.MonkeyPatch, row: np.ndarray
) -> None:
    monkeypatch.setattr(statistical.AutoEts, "_quantiles", lambda model, bars: np.tile(row, (10, 1)))
    with pytest.raises(Permanent, match="not finite and rising"):
        statistical.AutoEts().predict([make_bars()])


def test_a_missing_package_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistical.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"garch needs arch, which is not installed. Run `make setup-dev`"):
        catalogue.statistical("garch")


@pytest.mark.parametrize(
    ("typed", "hint"), [("profet", r"Did you mean prophet\?"), ("lightgbm", r"Name one of them\.")]
)
def test_an_unknown_model_is_a_sentence_with_the_names(typed: str, hint: str) -> None:
    with pytest.raises(UsageError, match=rf"'{typed}' is not one of the models garch, .*\. {hint}"):
        catalogue.statistical(typed)


@pytest.mark.usefixtures("installed")
def test_a_statistical_model_can_be_judged_too(tmp_path: Path) -> None:
    assert catalogue.named("auto-arima", ModelStore(LocalObjectStore(tmp_path), tmp_path)).name == "auto-arima"


def backtest(*words: str) -> int:
    with pytest.raises(SystemExit) as left:
        cli.run(["backtest", "--source", "sample", "--from", "2011-01-01", "--to", "2012-12-31", *words])
    return int(left.value.code or 0)


def test_the_command_compares_with_a_statistical_model_on_a_sample(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("arch")
    assert backtest("--windows", "9", "--peer", "garch", "--json", "out.json") == 0
    report = json.loads((workspace / "out.json").read_text())
    assert report["overall"]["n"] == 9
    low, high = report["ratios"]["garch"]["sp"][1:]
    assert 0.5 < low <= report["ratios"]["garch"]["sp"][0] <= high < 2
    assert "garch" in capsys.readouterr().out


@pytest.mark.usefixtures("workspace")
def test_the_command_refuses_an_unknown_model(capsys: pytest.CaptureFixture[str]) -> None:
    assert backtest("--peer", "garhc") == 2
    assert "Did you mean garch?" in capsys.readouterr().err


def test_the_command_says_when_the_model_was_trained_on_the_dates(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert backtest("--windows", "5", "--json", "out.json") == 0
    through = shipped_bundle().card.trained_through.isoformat()
    assert json.loads((workspace / "out.json").read_text())["trained_through"] == through
    assert f"trained on dates up to {through}" in capsys.readouterr().err
    assert backtest("--windows", "5", "--model", "ewma-t", "--json", "out.json") == 0
    assert "trained_through" not in json.loads((workspace / "out.json").read_text())
    assert "trained on dates" not in capsys.readouterr().err
