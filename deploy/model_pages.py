"""The pages about models in docs/models: what each is, what was measured, and what came of it.

The figures are those of the benchmark files and of the cards of shipped models, so that no page restates them by hand.
"""

import json
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tickercast.domain.cards import hourly_page
from tickercast.domain.cards.hourly_page import direction_verdict, network_verdict
from tickercast.domain.cards.model_card import ModelCard
from tickercast.show.directions import MOVES

PROJECT = Path(__file__).parents[1]
SHIPPED = PROJECT / "src" / "tickercast" / "shipped" / "models"


@dataclass(frozen=True)
class Measure:
    """A row of a record.

    Attributes:
        words: what was measured.
        file: the benchmark's file, or `card` for the card of the shipped model.
        figure: the name of the figure there.
        percent: whether it is a share.
    """

    words: str
    file: str
    figure: str
    percent: bool = False


@dataclass(frozen=True)
class ModelPage:
    """A page about a model.

    Attributes:
        name: the page's name.
        title: the heading.
        group: the heading of the index that it stands below.
        what: what the model is.
        record: what was measured, the most telling first.
        caveat: what the record is of.
        verdict: what came of it, without figures.
        role: in a word or two, for the index.
        run: a command that runs it.
    """

    name: str
    title: str
    group: str
    what: str
    record: tuple[Measure, ...]
    caveat: str
    verdict: str
    role: str
    run: str

    @property
    def has_card(self) -> bool:
        """Whether it is shipped with a card."""
        return (SHIPPED / self.name).is_dir()


DAYS, HOURS, DIRECTIONS = "Daily bars", "Hourly bars", "Direction of the next hour"

_STOCKS = (
    "On stocks that the champion was not trained on, on dates after its training; see [accuracy](../accuracy.md). A "
    "ratio below 1 says that the champion is better."
)
_PEERS = (
    "On {n:,.0f} of [the origins of unseen stocks](../accuracy.md), measured on {date} beside that day's champion. "
    "A ratio below 1 says that the champion is better."
)
_COINS = "BTCUSDT and ETHUSDT, every hour from July 2022 to August 2023; see [hourly models](../hourly.md)."


def _baseline(name: str) -> tuple[Measure, ...]:
    return (
        Measure("the champion's pinball loss, over this one's", "accuracy", f"sp_vs_{name}"),
        Measure("coverage of its 80% interval, on a sample", "peers", f"{name}_coverage_80", percent=True),
        Measure("coverage of its 95% interval, on a sample", "peers", f"{name}_coverage_95", percent=True),
    )


def _peer(name: str) -> tuple[Measure, ...]:
    return (
        Measure("the champion's pinball loss, over this one's", "peers", f"sp_vs_{name}"),
        Measure("coverage of its 80% interval", "peers", f"{name}_coverage_80", percent=True),
        Measure("coverage of its 95% interval", "peers", f"{name}_coverage_95", percent=True),
    )


def _of_card(*figures: str) -> tuple[Measure, ...]:
    return tuple(
        Measure(hourly_page.MEASURES[name].replace("… ", "pinball loss "), "card", name, name.startswith("coverage"))
        for name in figures
    )


PAGES = (
    ModelPage(
        "tickercast-lstm",
        "tickercast-lstm",
        DAYS,
        "A small ensemble of LSTMs that stretches the quantiles of its training around today's EWMA volatility. It "
        "forecasts the distribution of the next ten closes, knows results days, and has a calibration of its own for "
        "each asset class. It is trained with TensorFlow and served as ONNX.",
        (
            Measure("origins", "accuracy", "n"),
            Measure("pinball loss relative to EWMA-FHS", "accuracy", "sp_vs_ewma_fhs"),
            Measure("pinball loss relative to EWMA-t", "accuracy", "sp_vs_ewma_t"),
            Measure("pinball loss relative to the random walk", "accuracy", "sp_vs_random_walk"),
            Measure("Winkler score of the 95% interval relative to EWMA-t", "accuracy", "w95_vs_ewma_t"),
            Measure("coverage of the 80% interval", "accuracy", "coverage_80", percent=True),
            Measure("coverage of the 95% interval", "accuracy", "coverage_95", percent=True),
            Measure("error of the median relative to that of the last close", "accuracy", "mae_vs_naive"),
        ),
        "On stocks that it was not trained on, on dates after its training; see [accuracy](../accuracy.md). Below 1 is "
        "better.",
        "The champion of daily bars. It claims no edge on direction: what it knows is how wide an interval has to be.",
        "champion",
        "tickercast forecast MSFT 2023-07-22",
    ),
    ModelPage(
        "random-walk",
        "random-walk",
        DAYS,
        "Log-returns are Gaussian with mean 0 and the σ of the last 60 bars times the root of the steps. It is stored "
        "beside every forecast, of sessions and of hours, and skill is measured against it.",
        _baseline("random_walk"),
        _STOCKS,
        "The baseline. A model that is not better than it is not worth its trouble.",
        "baseline",
        "tickercast backtest --source sample --from 2011-01-01 --to 2013-02-28 --model random-walk",
    ),
    ModelPage(
        "ewma-t",
        "ewma-t",
        DAYS,
        "RiskMetrics: an exponentially weighted σ (λ .94) with Student's t of five degrees of freedom, times the root "
        "of the steps.",
        _baseline("ewma_t"),
        _STOCKS,
        "A baseline of every evaluation, and what is served where a champion is shown to be worse than it.",
        "baseline",
        "TICKERCAST_MODELS=champion,ewma-t tickercast forecast MSFT 2023-07-22 --model ewma-t",
    ),
    ModelPage(
        "ewma-fhs",
        "ewma-fhs",
        DAYS,
        "Filtered historical simulation: the σ of EWMA-t with the quantiles of past returns over it, learned from all "
        "symbols up to a date.",
        _baseline("ewma_fhs"),
        _STOCKS,
        "The best of the fast models, and so the baseline to beat. It has to be fitted, and so it is not served.",
        "baseline of backtests",
        "tickercast backtest --source sample --from 2011-01-01 --to 2013-02-28",
    ),
    ModelPage(
        "historical-simulation",
        "historical-simulation",
        DAYS,
        "The quantiles of the last 250 returns, times the root of the steps.",
        _baseline("historical_simulation"),
        _STOCKS,
        "A baseline. It reacts too slowly to a change of volatility.",
        "baseline",
        "TICKERCAST_MODELS=champion,historical-simulation tickercast forecast MSFT 2023-07-22",
    ),
    ModelPage(
        "garch",
        "garch",
        DAYS,
        "GARCH(1,1) with Student's t, by the package `arch`, fitted at every origin.",
        _peer("garch"),
        _PEERS,
        "Good, but fitted anew for every series and day: a peer of backtests, and a companion where time allows.",
        "peer",
        "tickercast backtest --source sample --from 2012-01-01 --to 2013-02-28 --peer garch",
    ),
    ModelPage(
        "auto-arima",
        "auto-arima",
        DAYS,
        "The automatic ARIMA of statsforecast on the logarithm of the price, chosen and fitted at every origin.",
        _peer("auto_arima"),
        _PEERS,
        "A peer. It finds trends that do not last, and its intervals do not follow volatility.",
        "peer",
        "tickercast backtest --source sample --from 2012-01-01 --to 2013-02-28 --windows 50 --peer auto-arima",
    ),
    ModelPage(
        "auto-ets",
        "auto-ets",
        DAYS,
        "The automatic exponential smoothing of statsforecast on the logarithm of the price.",
        _peer("auto_ets"),
        _PEERS,
        "A peer. Its width is that of the whole window, whatever the market does now.",
        "peer",
        "TICKERCAST_MODELS=champion,auto-ets tickercast forecast MSFT 2023-07-22 --model auto-ets",
    ),
    ModelPage(
        "auto-theta",
        "auto-theta",
        DAYS,
        "The automatic theta method of statsforecast on the logarithm of the price.",
        _peer("auto_theta"),
        _PEERS,
        "A peer, with the faults of the two before it.",
        "peer",
        "TICKERCAST_MODELS=champion,auto-theta tickercast forecast MSFT 2023-07-22 --model auto-theta",
    ),
    ModelPage(
        "prophet",
        "prophet",
        DAYS,
        "Trend and seasons of the calendar, fitted to the logarithm of the price by the package `prophet`.",
        (
            *_peer("prophet"),
            Measure("seconds for a file of 500 symbols, two cores", "models", "companions_500_symbols_s"),
        ),
        _PEERS,
        "No good for prices: its intervals are those of a smooth curve with noise, and a price is neither. It is there "
        "because people ask for it.",
        "peer",
        "TICKERCAST_MODELS=champion,prophet tickercast forecast MSFT 2023-07-22 --model prophet",
    ),
    ModelPage(
        "timesfm",
        "timesfm, by AI.FORECAST",
        DAYS,
        "Google's foundation model for time series, by the function `AI.FORECAST` of BigQuery, in one [scheduled "
        "query](../google-cloud.md#aiforecast) a day. Its rows are stored under its own name and scored by the same "
        "views as all others. Nothing is downloaded.",
        (),
        "It runs at Google alone, and was not measured here; `forecast_skill` measures it as it goes.",
        "A companion, off by default, until its own record says otherwise.",
        "companion",
        "./setup.sh cloud --with-ai-forecast",
    ),
    ModelPage(
        "har-season",
        "har-season",
        HOURS,
        "A regression of the coming variance on the variances of the last hour, three hours, six hours, day, three "
        "days, week and month (log-HAR), times a season of 168 hours, with the quantiles of the year before. It needs "
        "nothing but numpy; its tables are refreshed each month and travel in its card.",
        (
            Measure("origins", "models", "hourly_n"),
            Measure("pinball loss relative to EWMA-t", "models", "hourly_sp_vs_ewma_t"),
            Measure("… to ewma-season with tables from before the test", "models", "hourly_sp_vs_ewma_season"),
            Measure("… to ewma-season, refreshed alike", "models", "hourly_sp_vs_ewma_season_refreshed"),
            Measure("Winkler score of the 95% interval relative to EWMA-t", "models", "hourly_w95_vs_ewma_t"),
            Measure("coverage of the 80% interval", "models", "hourly_coverage_80", percent=True),
            Measure("… one hour ahead", "models", "hourly_coverage_80_h1", percent=True),
            Measure("… 24 hours ahead", "models", "hourly_coverage_80_h24", percent=True),
            Measure("coverage of the 95% interval", "models", "hourly_coverage_95", percent=True),
        ),
        _COINS,
        "The champion of hourly bars, reviewed each month: a baseline takes its place where it is shown to be worse.",
        "champion of hours",
        "tickercast forecast BTCUSDT 2023-07-22 --every 1h",
    ),
    ModelPage(
        "ewma-season",
        "ewma-season",
        HOURS,
        "Two moving averages of squared returns (λ .94 and .995), times the season of 168 hours, with the quantiles of "
        "the year before.",
        (
            Measure("har-season's pinball loss, over this one's", "models", "hourly_sp_vs_ewma_season_refreshed"),
            *_of_card("n", "sp_vs_ewma_t", "coverage_80", "coverage_95"),
        ),
        _COINS,
        "The baseline of hours, and what forecasts where the history is short. Refreshed each month it is nearly as "
        "good as the champion, which is why it takes the champion's place where that fails.",
        "baseline of hours",
        "tickercast backtest --every 6h --source hours --from 2022-07-01 --to 2023-08-30 --model ewma-season",
    ),
    ModelPage(
        "tickercast-lstm-1h",
        "tickercast-lstm-1h",
        HOURS,
        "Three small LSTMs that read the last 72 hours and the season that is known to come, and stretch the quantiles "
        "of har-season. They are trained again each half-year, without the last one.",
        (
            Measure("pinball loss relative to har-season, refreshed alike", "models", "hourly_lstm_vs_har"),
            *_of_card("sp_vs_ewma_t", "sp_vs_tickercast_plain_1h", "coverage_80", "coverage_95"),
        ),
        _COINS,
        "",
        "companion",
        "tickercast backtest --every 6h --source hours --from 2022-07-01 --to 2023-08-30 --model tickercast-lstm-1h",
    ),
    ModelPage(
        "tickercast-plain-1h",
        "tickercast-plain-1h",
        HOURS,
        "The twin of tickercast-lstm-1h without recurrence: it reads the last hour alone. What the LSTM gains on it is "
        "due to recurrence.",
        (
            Measure("pinball loss relative to har-season, refreshed alike", "models", "hourly_plain_vs_har"),
            *_of_card("sp_vs_ewma_t", "coverage_80", "coverage_95"),
        ),
        _COINS,
        "A companion. It shows that recurrence adds nothing that can be measured.",
        "companion",
        "tickercast backtest --every 6h --source hours --from 2022-07-01 --to 2023-08-30 --model tickercast-plain-1h",
    ),
    ModelPage(
        "ewma-t-1h",
        "ewma-t of hours",
        HOURS,
        "RiskMetrics σ (λ .94) of hourly returns with Student's t of five degrees of freedom, times the root of the "
        "hours. It knows no season.",
        (
            Measure("har-season's pinball loss, over this one's", "models", "hourly_sp_vs_ewma_t"),
            Measure(
                "har-season's Winkler score of the 95% interval, over this one's", "models", "hourly_w95_vs_ewma_t"
            ),
        ),
        _COINS,
        "The yardstick. It pays for the season that it does not know every morning.",
        "baseline of hours",
        "tickercast backtest --every 6h --source hours --from 2022-07-01 --to 2023-08-30 --model ewma-t",
    ),
    ModelPage(
        "xgb-direction",
        "xgb-direction",
        DIRECTIONS,
        "Boosted trees (XGBoost) that say how likely the next hour closes higher, from ten usual indicators and the "
        "measures of the hourly models, over a sliding window, grown again each month.",
        (
            Measure("hours", "models", "direction_n"),
            Measure("Brier score; a coin has .25", "models", "direction_brier"),
            Measure("… of the usual recipe, 200 trees of depth 4", "models", "direction_brier_usual_recipe"),
            Measure("right directions", "models", "direction_accuracy", percent=True),
            Measure("… by always saying up", "models", "direction_always_up", percent=True),
            *(
                Measure(
                    f"right where the move was {words}", "models", f"direction_hit_rate_size_{number}", percent=True
                )
                for number, words in enumerate(MOVES, start=1)
            ),
            Measure("calibration error", "models", "direction_calibration_error", percent=True),
            Measure(
                "fee a side at which nothing is left, hundredths of a percent", "models", "direction_break_even_bps"
            ),
        ),
        "BTCUSDT alone, every hour from July 2022 to August 2023; see [direction](../direction.md). The verdict is the "
        "card's, of the same hours of BTCUSDT and ETHUSDT.",
        "",
        "companion",
        "TICKERCAST_MODELS=champion,xgb-direction tickercast forecast BTCUSDT 2023-07-22 --every 1h",
    ),
)
"""Every model, the champion of its group first."""


def page(model: ModelPage) -> str:
    """The page of a model."""
    card = _card(model)
    rows = "\n".join(f"| {one.words} | {_value(one, card)} |" for one in model.record if _is_measured(one, card))
    parts = (
        f"# {model.title}",
        _lines(model.what),
        f"```sh\n{model.run}\n```",
        "## Record",
        f"| | |\n|---|---|\n{rows}" if rows else "",
        _lines(_caveat(model)),
        f"All measures, and what it is not good for: [its card](../{_path(model)})." if model.has_card else "",
        "## Verdict",
        _lines(verdict(model, card)),
        "This page is generated from the benchmarks and cards by `make docs`. [All models](../models.md).",
    )
    return "\n\n".join(part for part in parts if part) + "\n"


def verdict(model: ModelPage, card: ModelCard | None) -> str:
    """The verdict on a model: in words, or by the rule that its card rests on."""
    if model.verdict or card is None:
        return model.verdict
    found = direction_verdict(card) if model.group == DIRECTIONS else network_verdict(card.metrics)
    return " ".join(found.split())


def index() -> str:
    """The table of all models."""
    lines = []
    for group in (DAYS, HOURS, DIRECTIONS):
        lines += [f"\n## {group}\n", "| model | record | verdict |", "|---|---|---|"]
        for model in PAGES:
            if model.group == group:
                first = _headline(model)
                record = f"{first.words}: {_value(first, _card(model))}" if first else "its own, as it goes"
                lines.append(f"| [{model.title}](models/{model.name}.md) | {record} | {model.role} |")
    return "\n".join(lines) + "\n"


def _lines(text: str) -> str:
    return textwrap.fill(text, 120, break_long_words=False, break_on_hyphens=False)


def _caveat(model: ModelPage) -> str:
    if model.caveat is not _PEERS:
        return model.caveat
    told = json.loads((PROJECT / "benchmarks" / "peers.json").read_text())
    return model.caveat.format(n=told["figures"]["n"], date=told["date"])


def _is_measured(measure: Measure, card: ModelCard | None) -> bool:
    return measure.figure in (card.metrics if measure.file == "card" and card else _figures(measure.file))


def _headline(model: ModelPage) -> Measure | None:
    card = _card(model)
    measured = [one for one in model.record if one.figure not in _COUNTS and _is_measured(one, card)]
    return measured[0] if measured else None


_COUNTS = ("n", "hourly_n", "direction_n")


def _card(model: ModelPage) -> ModelCard | None:
    if not model.has_card:
        return None
    return ModelCard.model_validate_json((SHIPPED / model.name / "1" / "model.json").read_bytes())


def _path(model: ModelPage) -> str:
    return f"../src/tickercast/shipped/models/{model.name}/1/MODEL_CARD.md"


def _value(measure: Measure, card: ModelCard | None) -> str:
    figures = card.metrics if measure.file == "card" and card else _figures(measure.file)
    named: Sequence[str] = (measure.figure, f"{measure.figure}_lo", f"{measure.figure}_hi")
    value, *ends = (_number(figures[name], measure.percent) for name in named if name in figures)
    return f"{value} [{ends[0]}, {ends[1]}]" if ends else value


def _number(value: float, percent: bool) -> str:
    if percent:
        return f"{value:.1%}"
    return f"{value:,.0f}" if abs(value) >= 10 else f"{value:.4g}"


def _figures(file: str) -> Mapping[str, float]:
    figures: Mapping[str, float] = json.loads((PROJECT / "benchmarks" / f"{file}.json").read_text())["figures"]
    return figures
