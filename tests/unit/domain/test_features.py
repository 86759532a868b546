"""The network's inputs depend on the past only, and are always finite."""

from collections.abc import Callable
from dataclasses import fields, replace

import numpy as np
import pandas as pd
import pytest

from tickercast.domain.bars import Bars
from tickercast.domain.learning import features
from tickercast.errors import TooFewSessions


def cut(bars: Bars, sessions: int) -> Bars:
    return Bars(bars.symbol, bars.frame.iloc[:sessions])


def changed(bars: Bars, **columns: object) -> Bars:
    return replace(bars, columns=bars.frame.assign(**columns))


@pytest.mark.parametrize("origin", [90, 91, 120, 250, 313, 319, 320, 400, 555])
def test_cutting_off_the_future_changes_no_bit(make_bars: Callable[..., Bars], origin: int) -> None:
    bars = make_bars(sessions=700)
    whole, known = features.panel(bars), features.panel(cut(bars, origin + 1))
    for field in fields(features.Panel):
        seen = getattr(whole, field.name)[: origin + 1] - getattr(known, field.name)
        assert np.abs(seen).max() == 0.0, field.name


def test_another_future_changes_no_bit(make_bars: Callable[..., Bars]) -> None:
    bars = make_bars(sessions=600)
    factor = np.where(np.arange(600) > 450, 3.7, 1.0)
    prices = {name: bars.frame[name] * factor for name in ("open", "high", "low", "close", "adj_close", "volume")}
    before, after = features.panel(bars), features.panel(changed(bars, **prices))
    assert np.array_equal(before.steps[:451], after.steps[:451])
    assert np.array_equal(before.statics[:451], after.statics[:451])
    assert not np.array_equal(before.steps[451], after.steps[451])


@pytest.mark.parametrize("sessions", [91, 150, 320, 321, 700])
def test_serving_sees_the_very_numbers_of_training(make_bars: Callable[..., Bars], sessions: int) -> None:
    bars = make_bars(sessions=sessions)
    panel, served = features.panel(bars), features.latest([bars])
    assert np.array_equal(panel.windows(np.array([sessions - 1])), served.steps)
    assert np.array_equal(panel.statics[-1:], served.statics)
    assert panel.sigma_ewma[-1] == served.sigma_ewma[0]
    assert panel.sigma60[-1] == served.sigma60[0]


def test_company_changes_nothing(make_bars: Callable[..., Bars]) -> None:
    series = [make_bars(sessions=sessions, seed=sessions) for sessions in (91, 700, 333)]
    together = features.latest(series)
    for row, bars in enumerate(series):
        alone = features.latest([bars])
        assert np.array_equal(together.steps[row], alone.steps[0])
        assert np.array_equal(together.statics[row], alone.statics[0])


def test_bars_older_than_the_tail_change_nothing(make_bars: Callable[..., Bars]) -> None:
    bars = make_bars(sessions=1000)
    short = Bars(bars.symbol, bars.frame.iloc[-features.TAIL :])
    assert np.array_equal(features.latest([bars]).steps, features.latest([short]).steps)
    assert np.array_equal(features.latest([bars]).statics, features.latest([short]).statics)


def test_shapes_and_names_agree(make_bars: Callable[..., Bars]) -> None:
    inputs = features.latest([make_bars(), make_bars(seed=1)])
    assert inputs.steps.shape == (2, features.WINDOW, len(features.STEP_FEATURES))
    assert inputs.statics.shape == (2, len(features.STATIC_FEATURES))
    assert inputs.steps.dtype == inputs.statics.dtype == np.float32
    assert features.latest([]).steps.shape == (0, features.WINDOW, len(features.STEP_FEATURES))


def test_the_currency_does_not_matter(make_bars: Callable[..., Bars]) -> None:
    bars = make_bars()
    prices = {name: bars.frame[name] * 133.7 for name in ("open", "high", "low", "close", "adj_close")}
    in_yen = features.latest([changed(bars, **prices)])
    np.testing.assert_allclose(in_yen.steps, features.latest([bars]).steps, atol=1e-5)
    np.testing.assert_allclose(in_yen.sigma_ewma, features.latest([bars]).sigma_ewma, rtol=1e-9)


def test_a_split_that_only_the_close_shows_is_no_market_move(make_bars: Callable[..., Bars]) -> None:
    bars = make_bars()
    factor = np.where(np.arange(len(bars)) < 380, 4.0, 1.0)
    unadjusted = {name: bars.frame[name] * factor for name in ("open", "high", "low", "close")}
    split = features.latest([changed(bars, **unadjusted)])
    np.testing.assert_allclose(split.steps, features.latest([bars]).steps, atol=1e-5)


@pytest.mark.parametrize(
    "columns",
    [
        {"volume": np.nan},
        {"volume": 0.0},
        {"volume": 5e6},
        dict.fromkeys(("open", "high", "low", "close", "adj_close"), 42.0),
        dict.fromkeys(("open", "high", "low", "close", "adj_close"), 1e-12),
        {"high": 1e9},
    ],
    ids=["no volume", "zero volume", "constant volume", "constant prices", "tiny prices", "huge high"],
)
def test_strange_bars_give_finite_inputs(make_bars: Callable[..., Bars], columns: dict[str, object]) -> None:
    inputs = features.latest([changed(make_bars(), **columns)])
    assert np.isfinite(inputs.steps).all()
    assert np.isfinite(inputs.statics).all()
    assert np.abs(inputs.steps).max() < 25
    assert (inputs.sigma_ewma > 0).all()


def test_a_session_without_volume_has_no_volume_signal(make_bars: Callable[..., Bars]) -> None:
    volume = np.full(400, np.nan)
    inputs = features.latest([changed(make_bars(), volume=volume)])
    assert not inputs.steps[:, :, features.STEP_FEATURES.index("volume_z")].any()


def test_the_echo_is_the_largest_move_near_the_lag_before_the_step() -> None:
    returns = np.tile([0.01, -0.01], 250)
    returns[399 + 3 - 252 + 2] = 0.05  # two sessions after the one a year before step 3 from session 399
    close = 100 * np.exp(np.cumsum(returns))
    dates = pd.bdate_range("2020-01-01", periods=500)
    bars = pd.DataFrame(dict.fromkeys(("open", "high", "low", "close", "adj_close"), close))
    panel = features.panel(Bars("X", bars.assign(session_date=dates, volume=np.nan)))
    year = panel.statics[399, 10:]
    assert year[2:7] == pytest.approx(np.full(5, 5.0), abs=0.01)  # steps 3 to 7 lie within two sessions of it
    assert year[[0, 1, 7, 8, 9]] == pytest.approx(np.full(5, 1.0), abs=0.3)


def test_an_echo_that_the_history_does_not_reach_is_zero(make_bars: Callable[..., Bars]) -> None:
    assert not features.latest([make_bars(sessions=91)]).statics.any()


def test_ewma_is_that_of_riskmetrics(make_bars: Callable[..., Bars]) -> None:
    bars = make_bars(sessions=700)
    returns = np.diff(np.log(bars.frame["close"].to_numpy()))
    variance = pd.Series(returns**2).ewm(alpha=0.06).mean().iloc[-1]
    assert features.latest([bars]).sigma_ewma[0] == pytest.approx(np.sqrt(variance), rel=1e-5)
    assert features.latest([bars]).sigma60[0] == pytest.approx(np.sqrt(np.mean(returns[-60:] ** 2)))


def test_a_history_that_is_too_short_is_refused_by_name(make_bars: Callable[..., Bars]) -> None:
    with pytest.raises(TooFewSessions, match="MSFT has 90 session"):
        features.latest([make_bars(sessions=90)])
