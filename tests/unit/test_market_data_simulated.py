"""Simulated market data, and the oracle that knows its process."""

import dataclasses
from collections.abc import Sequence
from datetime import date

import numpy as np
import pytest

from tickercast.backends.market_data.simulated import DEFAULTS, EPOCH, Oracle, Parameters, Simulated, simulate
from tickercast.domain.bars import BAR_COLUMNS, Bars, Reading
from tickercast.domain.calendar import sessions_between
from tickercast.domain.distribution import student5
from tickercast.domain.files.price_files import read_prices, to_csv
from tickercast.domain.forecast import QUANTILES
from tickercast.domain.measures.evaluation import rolling_losses, summary
from tickercast.errors import CalendarError, NoRecentBars, UsageError
from tickercast.models.baselines import EwmaT


def fetch(symbols: Sequence[str], first: date, last: date) -> Reading:
    return Simulated().fetch(symbols, first, last, advance=lambda _: None)


def bars(symbol: str, first: date, last: date) -> Bars:
    return fetch([symbol], first, last).bars[symbol]


@pytest.mark.parametrize("symbol", ["MSFT", "ETH-USD", "VOD.L", "7203.T", "EURUSD=X", "GC=F", "^GSPC"])
def test_any_symbol_has_one_bar_for_each_session_of_its_exchange(symbol: str) -> None:
    first, last = date(2021, 7, 22), date(2023, 7, 22)

    frame = bars(symbol, first, last).frame

    assert tuple(frame["session_date"].dt.date) == sessions_between(symbol, first, last)


def test_a_later_or_longer_range_continues_the_same_path() -> None:
    earlier = bars("MSFT", date(2023, 1, 1), date(2023, 7, 22))
    later = bars("MSFT", date(2020, 1, 1), date(2023, 7, 29))

    assert later.until(date(2023, 7, 22)).since(date(2023, 1, 1)).frame.reset_index(drop=True).equals(earlier.frame)


def test_a_path_does_not_depend_on_the_symbols_beside_it() -> None:
    first, last = date(2023, 1, 1), date(2023, 7, 22)

    together = fetch(["AAPL", "MSFT"], first, last).bars["MSFT"]

    assert together.frame.equals(bars("MSFT", first, last).frame)
    assert not together.frame["close"].equals(bars("AAPL", first, last).frame["close"])


def test_a_path_is_the_same_in_every_process_and_release() -> None:
    frame = bars("MSFT", date(2023, 7, 21), date(2023, 7, 22)).frame

    assert frame["close"].iloc[0] == pytest.approx(5.44261352, rel=1e-6)


def test_the_bars_say_that_they_are_simulated_and_keep_the_csv_contract() -> None:
    simulated = bars("MSFT", date(2000, 1, 1), date(2023, 7, 22))

    read = read_prices(to_csv([simulated])).bars["MSFT"]

    assert simulated.simulated
    assert read.simulated
    assert tuple(simulated.frame.columns) == BAR_COLUMNS
    assert read.frame.equals(simulated.frame)


def test_bars_are_plausible() -> None:
    frame = bars("MSFT", EPOCH, date(2023, 7, 22)).frame
    moves = np.log(frame["close"]).diff().abs()

    assert (frame[["open", "high", "low", "close", "volume"]] > 0).all(axis=None)
    assert (frame["high"] >= frame[["open", "close"]].max(axis=1)).all()
    assert (frame["low"] <= frame[["open", "close"]].min(axis=1)).all()
    assert (frame["high"] > frame["low"]).all()
    assert moves.corr(np.log(frame["volume"])) > 0.2
    assert moves.corr(moves.shift()) > 0.05  # volatility clusters
    assert 0.2 < np.log(frame["open"] / frame["close"].shift()).var() / moves.pow(2).mean() < 0.4


def test_crypto_opens_where_it_closed() -> None:
    frame = bars("ETH-USD", date(2023, 1, 1), date(2023, 7, 22)).frame

    assert np.allclose(frame["open"].iloc[1:], frame["close"].iloc[:-1])


def test_the_process_is_the_one_that_its_parameters_describe() -> None:
    returns, variances = simulate("MSFT", 20_000)
    z = (returns - DEFAULTS.mean) / np.sqrt(variances[:-1])
    shock = DEFAULTS.alpha + DEFAULTS.gamma * (z < 0)

    assert len(variances) == len(returns) + 1
    assert np.allclose(variances[1:], DEFAULTS.omega + shock * variances[:-1] * z**2 + DEFAULTS.beta * variances[:-1])
    assert z.var() == pytest.approx(1, abs=0.05)
    assert np.mean(np.abs(z) > 2.5706 * np.sqrt(3 / 5)) == pytest.approx(0.05, abs=0.005)  # Student's t, 5 degrees


def test_the_long_run_variance_follows_from_the_parameters() -> None:
    assert Parameters(omega=1e-5, alpha=0.1, gamma=0.0, beta=0.8).variance == pytest.approx(1e-4)


def test_other_parameters_make_another_path() -> None:
    calm = dataclasses.replace(DEFAULTS, omega=DEFAULTS.omega / 100)

    read = Simulated(calm).fetch(["MSFT"], EPOCH, date(2023, 7, 22), advance=lambda _: None).bars["MSFT"]

    assert np.log(read.frame["close"]).diff().std() < 0.2 * np.sqrt(DEFAULTS.variance)


@pytest.mark.parametrize(
    ("symbol", "first", "last", "error", "words"),
    [
        ("FOO.XX", date(2023, 1, 1), date(2023, 7, 22), CalendarError, ["FOO.XX"]),
        ("MSFT", date(1980, 1, 1), date(1981, 1, 1), NoRecentBars, ["MSFT", "1981-01-01", "1990-01-01"]),
        ("7203.T", date(1992, 1, 1), date(1993, 1, 1), NoRecentBars, ["7203.T", "1993-01-01"]),
    ],
)
def test_what_cannot_be_simulated_is_refused_in_a_sentence(
    symbol: str, first: date, last: date, error: type[Exception], words: list[str]
) -> None:
    reading = fetch(["MSFT", symbol], first, last) if symbol != "MSFT" else fetch([symbol], first, last)

    assert type(reading.failures[symbol]) is error
    assert all(word in str(reading.failures[symbol]) for word in words)


def test_progress_counts_every_symbol_once() -> None:
    advanced = []

    Simulated().fetch(["MSFT", "FOO.XX", "ETH-USD"], date(2023, 1, 1), date(2023, 7, 22), advance=advanced.append)

    assert sum(advanced) == 3


@pytest.fixture(scope="module")
def oracle() -> Oracle:
    return Oracle()


def test_the_oracle_knows_the_next_return_to_the_quantile(oracle: Oracle) -> None:
    known = bars("MSFT", date(2020, 1, 1), date(2023, 7, 21))
    _, h = simulate("MSFT", len(sessions_between("MSFT", EPOCH, known.cutoff)))

    [quantiles] = oracle.predict([known])

    expected = DEFAULTS.mean + np.sqrt(h[-1]) * student5(np.array(QUANTILES))
    np.testing.assert_allclose(quantiles[0], expected, rtol=0.02, atol=0.02 * np.sqrt(h[-1]))


def test_no_model_beats_the_oracle_and_its_intervals_cover_what_they_say(oracle: Oracle) -> None:
    series = list(fetch(["A", "B", "C", "D"], date(2003, 1, 1), date(2022, 12, 30)).bars.values())

    tables = rolling_losses({"oracle": oracle, "ewma-t": EwmaT()}, series, date(2004, 1, 1), date(2022, 12, 1))

    measured = summary(tables["oracle"])
    assert measured["sp"] < summary(tables["ewma-t"])["sp"]
    assert measured["coverage_80"] == pytest.approx(0.80, abs=0.02)
    assert measured["coverage_95"] == pytest.approx(0.95, abs=0.01)


def test_the_oracle_answers_each_series_alike_whatever_is_beside_it(oracle: Oracle) -> None:
    several = [
        bars(symbol, date(2022, 1, 1), last) for symbol in ("A", "B") for last in (date(2022, 9, 1), date(2023, 7, 21))
    ]

    together = oracle.predict(several)

    np.testing.assert_array_equal(together, np.concatenate([oracle.predict([one]) for one in several]))


def test_the_oracle_has_nothing_to_say_of_real_bars(oracle: Oracle) -> None:
    simulated = bars("MSFT", date(2020, 1, 1), date(2023, 7, 21))

    with pytest.raises(UsageError, match="real"):
        oracle.predict([Bars("MSFT", simulated.frame)])
