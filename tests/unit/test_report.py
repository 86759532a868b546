"""The report: what it says, and what it never does."""

import re
from dataclasses import replace
from datetime import date
from html.parser import HTMLParser

import pandas as pd
import pytest
from rich.console import Console
from tests.support.told import CUTOFF, RESULTS, outlook_of_two, overview_row, told, told_hours

from tickercast.domain.forecast import LEVELS, Forecast
from tickercast.domain.learning.width import Width
from tickercast.domain.measures.calibration import Calibration
from tickercast.reading.holdings import valued
from tickercast.reading.track_record import ForecastDetails, Seen, TrackRecord
from tickercast.show import answers, report, sentences

FIRST = date(2023, 7, 24)
VOID = {"meta", "link", "br", "img", "hr", "input"}


class Page(HTMLParser):
    """Reads a page whole: its ids, its text, what it refers to, and whether all that is opened is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.refers: list[str] = []
        self.words: list[str] = []
        self.tags: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in ("href", "src", "xlink:href", "srcset", "action", "data"):
                self.refers.append(value or "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] != "style":
            self.words.append(data)


def read(*shown: ForecastDetails) -> Page:
    page = Page(report.page(shown, "file://bucket"))
    assert page.open == []
    return page


def test_the_page_shows_forecast_indicators_record_and_model_and_that_it_is_no_advice() -> None:
    text = read(told()).text
    assert "2023-08-04" in text
    assert "95.00 … 105.00" in text
    assert "RSI 14 53.9" in text
    assert "MACD -0.25" in text
    assert "Volatility 18.5%" in text
    assert "no edge over the random walk: 0.987 of its loss (0.951 to 1.023) over 1,200 closes" in text
    assert "0.987 (0.951 to 1.023)" in text
    assert "A small LSTM ensemble" in text
    assert "stored beside it for the same sessions. It was trained on nothing after 2018-12-31" in text
    assert "origins, every 10 sessions of each symbol" in text
    assert "mean close of the last 20 sessions" in text
    assert "Saying whether a price will rise or fall" in text
    assert sentences.NOT_ADVICE in text
    assert "Not investment advice" in sentences.NOT_ADVICE
    assert "made from file://bucket/ohlc/2023-07-22/MSFT.csv#5" in text


@pytest.mark.parametrize(
    ("model", "what"),
    [
        ("har-season", "A regression of the coming variance on the variances of the last hour, day, week and month"),
        ("ewma-season", "Two moving averages of squared returns"),
        ("tickercast-lstm-1h", "Three small LSTMs that read the last 72 hours"),
    ],
)
def test_a_report_of_hours_speaks_of_hours_and_describes_the_model_by_its_own_card(model: str, what: str) -> None:
    text = read(told_hours(model)).text
    assert f"The model: {model} version 1 {what}" in text
    assert "The random walk is stored beside it for the same hours." in text
    assert "origins, every hour of each symbol 20,444" in text
    assert "pinball loss relative to EWMA-t (RiskMetrics σ of hours, Student t₅, √step) 0.97" in text
    assert "Horizons beyond 24 hours" in text
    assert "mean close of the last 20 hours" in text
    assert "mean true range of 14 hours" in text
    assert "at 2023-07-22 14:00 UTC, the close lies between" in text
    assert "UTC median change" in text
    assert not re.search("session|LSTM ensemble|cryptocurrencies|date median", text)


def test_half_an_interval_of_the_model_is_not_shown() -> None:
    shown = told()
    assert shown.card
    known = {name: value for name, value in shown.card.metrics.items() if not name.endswith("_hi")}
    text = read(replace(shown, card=shown.card.model_copy(update={"metrics": known}))).text
    ratio = f"{known['sp_vs_ewma_t']:.3f}"
    assert f"Student t₅, √step) {ratio} " in text
    assert f"{ratio} (" not in text


def test_a_rate_and_its_indicators_have_the_same_decimals() -> None:
    dollars = told("EURUSD=X")
    names = [
        name for name in dollars.bars if name not in ("session_date", "volume", "rsi_14", "volatility_20", "drawdown")
    ]
    made = dollars.made
    steps = tuple(replace(step, **{name: getattr(step, name) * 0.010319 for name in LEVELS}) for step in made.steps)
    bars = dollars.bars.assign(**{name: dollars.bars[name].astype(float) * 0.010319 for name in names})
    page = read(replace(dollars, made=replace(made, last_close=1.0319, steps=steps), bars=bars))
    assert "was 1.0319. After ten sessions, on 2023-08-04, the close lies between 0.9803 and 1.0835 with" in page.text
    assert "SMA 20 1.0267" in page.text
    assert "MACD -0.0026" in page.text


def test_an_indicator_that_is_not_there_yet_is_left_out() -> None:
    assert "ATR" not in read(told()).text


def test_what_followed_stands_in_the_table_and_is_counted() -> None:
    text = read(told(actual={FIRST: 107.0})).text
    assert "107.00 95%" in text
    assert (
        "Of the 1 close that followed, 0 (0%) were inside the 80% interval and 1 (100%) inside the 95% interval."
        in text
    )
    assert "median actual" in text
    assert "actual inside" in text
    assert "actual" not in read(told()).text


def test_a_report_asks_for_nothing_when_it_is_opened() -> None:
    page = read(told(), told("AAPL"))
    assert {target for target in page.refers if not target.startswith("#")} == {"data:,"}
    assert not {"script", "iframe", "object", "embed", "img"} & set(page.tags)
    text = report.page([told()], "file://bucket")
    assert "@import" not in text
    assert not re.search(r"url\((?!#)", text)


def test_several_symbols_are_a_section_each_and_no_id_stands_twice() -> None:
    page = read(told("MSFT"), told("AAPL"), told("BRK-B"))
    assert len(page.ids) == len(set(page.ids))
    assert "3 symbols: ten sessions ahead" in page.text
    assert [target for target in page.refers if re.fullmatch(r"#s\d", target)] == ["#s1", "#s2", "#s3"]
    targets = {target[1:] for target in page.refers if target.startswith("#")}
    assert targets <= set(page.ids)
    assert page.text.count("The model: tickercast-lstm version 1") == 1


def test_whatever_is_shown_is_text_and_no_markup() -> None:
    evil = '<script>alert("1")</script>{{ 7 * 7 }}&'
    page = read(told(evil, trained_on=evil))
    assert "script" not in page.tags
    assert page.text.count('<script>alert("1")</script>{{ 7 * 7 }}&') >= 3


def test_simulated_bars_are_said_to_be_so_and_have_no_record() -> None:
    text = read(told(simulated=True, record=None)).text
    assert sentences.SIMULATED in text
    assert "There is none for simulated bars" in text
    assert "Verdict" not in text


def test_a_model_that_has_seen_the_dates_says_so() -> None:
    assert "was trained on dates up to" not in read(told()).text
    seen = told()
    first = replace(seen.made.steps[0], target_date=seen.card.trained_through)
    seen = replace(seen, made=replace(seen.made, steps=(first, *seen.made.steps[1:])))
    assert "was trained on dates up to 2018-12-31" in read(seen).text


@pytest.mark.parametrize("sessions", [0, 1, 5])
def test_a_forecast_with_few_bars_or_none_before_it_is_reported_all_the_same(sessions: int) -> None:
    page = read(told(sessions=sessions))
    assert str(CUTOFF) in page.text
    assert ("holds no bars" in page.text) == (sessions == 0)


def test_each_verdict_is_a_sentence() -> None:
    made = told().made
    assert (
        sentences.record_sentence(made, TrackRecord())
        == "too early: no close after a forecast of MSFT by lstm is stored yet"
    )
    doubtful = sentences.record_sentence(made, TrackRecord(uncounted={"doubtful": 10}))
    assert doubtful == "none: 10 closes have come true; they do not count, since the bars were doubtful"
    one = sentences.record_sentence(made, TrackRecord(n=1, blocks=1, n_backfilled=1, pinball_ratio=0.9))
    assert one == "too early: 1 close in 1 of the 8 blocks of 28 days that a verdict needs; 1 forecast after the fact"
    better = sentences.record_sentence(made, TrackRecord("better", 900, 0, 9, 0.9, 0.8, 0.95, 0.8, 0.95))
    assert better == (
        "better than the random walk: 0.900 of its loss (0.800 to 0.950) over 900 closes, 80% of them inside the 80% "
        "interval"
    )
    assert sentences.record_sentence(made, TrackRecord("worse", 900, 0, 9, 1.2, 1.1, 1.3, 0.8, 0.9)).startswith(
        "worse than"
    )


def test_a_results_day_inside_the_horizon_is_said_and_marked() -> None:
    page = read(told(results=RESULTS))
    assert "Results expected 2023-07-25 (after the close), inside this horizon." in page.text
    assert "results act on this session" in page.text
    assert "a dotted line at 2023-07-26, where results act" in report.page([told(results=RESULTS)], "file://bucket")
    assert "Results expected" not in read(told()).text


WIDTH = Width(10, 0.1, 0.1, 0.9, 1.1, 0.012, tuple(0.01 + 0.0001 * day for day in range(250)))
HELD = Calibration("MSFT", 1200, 0.69, 0.62, 0.76, 12, "too narrow")


def test_several_symbols_begin_with_the_overview_whose_rows_lead_to_them() -> None:
    beside = report.Beside(
        [overview_row("AAPL"), overview_row("MSFT", findings="jump: +9%", doubtful=True)], calibration={"MSFT": HELD}
    )
    text = report.page([told("MSFT"), told("AAPL")], "file://bucket", beside)
    page = Page(text)
    assert page.open == []
    assert page.text.index("Overview") < page.text.index("MSFT from 2023-07-21")
    assert "AAPL 100.00 -1.2% 95.00 … 105.00 -5.0% … +5.0% 54% 82% 69% of 1,200" in page.text
    assert "80% intervals too narrow ; no edge over the random walk; doubtful: jump: +9%" in page.text
    assert '<a href="#s1">MSFT</a>' in text
    assert '<a href="#s2">AAPL</a>' in text
    assert len(page.ids) == len(set(page.ids))
    assert "Overview" not in read(told()).text


def test_a_symbol_says_why_its_interval_is_so_wide_and_how_earlier_ones_have_held() -> None:
    beside = report.Beside(widths={"MSFT": WIDTH}, calibration={"MSFT": HELD})
    text = Page(report.page([told()], "file://bucket", beside)).text
    assert sentences.why(told().made, WIDTH) in text
    assert "Too narrow: the 80% intervals held 69% (62% to 76%) of 1,200 closes in 12 blocks of 28 days." in text
    assert "Why the interval" not in read(told()).text


def test_a_record_says_that_its_model_was_trained_on_the_dates_of_some_forecasts() -> None:
    seen = Seen("MSFT", "champion", "lstm", "1", date(2018, 12, 31), date(2012, 8, 15))
    said = "lstm version 1 has forecasts of MSFT since 2012-08-15, but was trained on dates up to 2018-12-31: "
    assert said in Page(report.page([told()], "file://bucket", report.Beside(seen=[seen]))).text
    other = Page(report.page([told()], "file://bucket", report.Beside(seen=[replace(seen, symbol="IBM")]))).text
    assert "but was trained" not in other


def test_a_portfolio_stands_before_its_symbols_with_the_risk_of_each_session_and_holding() -> None:
    found = outlook_of_two()
    page = Page(report.page([told("MSFT"), told("IBM")], "file://bucket", report.Beside(portfolio=found)))
    assert page.open == []
    assert "2 holdings worth 130,000.00 USD on 2023-07-21." in page.text
    for row in answers.risks(found):
        assert f"{answers.money(-row['var_95'])} {answers.money(-row['es_95'])}" in page.text
    for cells in answers.holdings_frame(found).to_numpy().tolist():
        assert " ".join(cells) in page.text
    assert "Drawn from 1,000 past sessions" in page.text
    assert page.text.index("Portfolio") < page.text.index("MSFT from 2023-07-21")


@pytest.mark.parametrize(("first", "sessions"), [("2023-07-24", 6), ("2023-08-01", 0)])
def test_a_portfolio_of_two_calendars_has_a_row_for_each_date_on_which_one_trades(first: str, sessions: int) -> None:
    two, every_day = outlook_of_two(), pd.date_range("2023-07-22", periods=10)
    stock, coin = two.outlook.forecasts
    forecasts = [_dated(stock, pd.bdate_range(first, periods=10)), _dated(coin, every_day)]
    found = valued(two.held, replace(two.outlook, forecasts=forecasts))

    assert found.outlook.dates == [day.date() for day in every_day]
    assert found.outlook.steps[:, -1].tolist() == [sessions, 10]
    assert not found.parts[0, :2].any()
    page = Page(report.page([told()], "file://bucket", report.Beside(portfolio=found)))
    assert answers.APART in page.text
    assert "2023-07-22" in page.text
    console = Console(width=160)
    with console.capture() as printed:
        console.print(answers.portfolio_table(found))
    assert ("correlation" in printed.get()) is bool(sessions)  # there may be none that both have


def _dated(made: Forecast, days: pd.DatetimeIndex) -> Forecast:
    steps = zip(made.steps, days, strict=True)
    return replace(made, steps=tuple(replace(step, target_date=day.date()) for step, day in steps))
