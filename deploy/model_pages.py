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
        words: the words for the measure.
        file: the benchmark's file, or `card` for the card of the shipped model.
        figure: the name of the figure there.
        percent: whether it is a share.
        origins: the name of the figure that says over how many origins it was measured; empty: none does.
    """

    words: str
    file: str
    figure: str
    percent: bool = False
    origins: str = ""


@dataclass(frozen=True)
class ModelPage:
    """A page about a model.

    Attributes:
        name: the page's name.
        title: the heading.
        group: the heading of the index that it stands below.
        what: a description of the model.
        record: the measures of the model, the most telling first.
        caveat: the data that the record is of.
        verdict: the verdict on the model, without figures.
        role: the role in a word or two, for the index.
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
_COINS = "BTCUSDT and ETHUSDT, every hour from July 2022 to August 2023; see [hourly models](../hourly.md)."


def _rival(name: str, origins: str = "n") -> tuple[Measure, ...]:
    return (
        Measure("the champion's pinball loss, over this one's", "accuracy", f"sp_vs_{name}", origins=origins),
        Measure("coverage of its 80% interval", "peers", f"{name}_coverage_80", percent=True, origins="n"),
        Measure("coverage of its 95% interval", "peers", f"{name}_coverage_95", percent=True, origins="n"),
    )


def _champion(words: str, figure: str, *, percent: bool = False) -> Measure:
    return Measure(words, "accuracy", figure, percent, origins="n")


def _hourly(words: str, figure: str, *, percent: bool = False) -> Measure:
    return Measure(words, "models", figure, percent, origins="hourly_n")


def _direction(words: str, figure: str, *, percent: bool = False) -> Measure:
    return Measure(words, "models", figure, percent, origins="direction_n")


def _of_card(*figures: str) -> tuple[Measure, ...]:
    return tuple(
        Measure(
            hourly_page.MEASURES[name].replace("… ", "pinball loss "), "card", name, name.startswith("coverage"), "n"
        )
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
            _champion("pinball loss relative to EWMA-FHS", "sp_vs_ewma_fhs"),
            _champion("pinball loss relative to EWMA-t", "sp_vs_ewma_t"),
            _champion("pinball loss relative to the random walk", "sp_vs_random_walk"),
            _champion("Winkler score of the 95% interval relative to EWMA-t", "w95_vs_ewma_t"),
            _champion("coverage of the 80% interval", "coverage_80", percent=True),
            _champion("coverage of the 95% interval", "coverage_95", percent=True),
            _champion("error of the median relative to that of the last close", "mae_vs_naive"),
        ),
        "On stocks that it was not trained on, on dates after its training; see [accuracy](../accuracy.md). Below 1 is "
        "better. Results days count as announced four weeks ahead. Its card was measured when it was trained: with "
        "results days that are only predicted from last year's, and before the steps that results reach had a [factor "
        "of their own](../training.md#widths-that-follow). So its figures for the same origins differ a little.",
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
        _rival("random_walk"),
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
        _rival("ewma_t"),
        _STOCKS,
        "A baseline of every evaluation. It is served in the champion's place if the champion is shown to be worse.",
        "baseline",
        "TICKERCAST_MODELS=champion,ewma-t tickercast forecast MSFT 2023-07-22 --model ewma-t",
    ),
    ModelPage(
        "ewma-fhs",
        "ewma-fhs",
        DAYS,
        "Filtered historical simulation: the σ of EWMA-t with the quantiles of past returns over it, learned from all "
        "symbols up to a date.",
        _rival("ewma_fhs"),
        _STOCKS,
        "The best of the fast models, and so the baseline to beat. It is not served, since it has to be fitted.",
        "baseline of backtests",
        "tickercast backtest --source sample --from 2011-01-01 --to 2013-02-28",
    ),
    ModelPage(
        "historical-simulation",
        "historical-simulation",
        DAYS,
        "The quantiles of the last 250 returns, times the root of the steps.",
        _rival("historical_simulation"),
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
        _rival("garch"),
        _STOCKS,
        "Good, but fitted anew for every series and day: a peer of backtests, and a companion where time allows.",
        "peer",
        "tickercast backtest --source sample --from 2012-01-01 --to 2013-02-28 --peer garch",
    ),
    ModelPage(
        "auto-arima",
        "auto-arima",
        DAYS,
        "The automatic ARIMA of statsforecast on the logarithm of the price, chosen and fitted at every origin.",
        _rival("auto_arima", "n_slow"),
        _STOCKS,
        "A peer. It finds trends that do not last, and its intervals do not follow volatility.",
        "peer",
        "tickercast backtest --source sample --from 2012-01-01 --to 2013-02-28 --windows 50 --peer auto-arima",
    ),
    ModelPage(
        "auto-ets",
        "auto-ets",
        DAYS,
        "The automatic exponential smoothing of statsforecast on the logarithm of the price.",
        _rival("auto_ets", "n_slow"),
        _STOCKS,
        "A peer. Its width is that of the whole window, whatever the market does now.",
        "peer",
        "TICKERCAST_MODELS=champion,auto-ets tickercast forecast MSFT 2023-07-22 --model auto-ets",
    ),
    ModelPage(
        "auto-theta",
        "auto-theta",
        DAYS,
        "The automatic theta method of statsforecast on the logarithm of the price.",
        _rival("auto_theta", "n_slow"),
        _STOCKS,
        "A peer, with the faults of [auto-arima](auto-arima.md) and [auto-ets](auto-ets.md).",
        "peer",
        "TICKERCAST_MODELS=champion,auto-theta tickercast forecast MSFT 2023-07-22 --model auto-theta",
    ),
    ModelPage(
        "prophet",
        "prophet",
        DAYS,
        "Trend and seasons of the calendar, fitted to the logarithm of the price by the package `prophet`.",
        (
            *_rival("prophet", "n_slow"),
            Measure("seconds for a file of 500 symbols, two cores", "models", "companions_500_symbols_s"),
        ),
        _STOCKS,
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
            _hourly("pinball loss relative to EWMA-t", "hourly_sp_vs_ewma_t"),
            _hourly("… to ewma-season with tables from before the test", "hourly_sp_vs_ewma_season"),
            _hourly("… to ewma-season, refreshed alike", "hourly_sp_vs_ewma_season_refreshed"),
            _hourly("Winkler score of the 95% interval relative to EWMA-t", "hourly_w95_vs_ewma_t"),
            _hourly("coverage of the 80% interval", "hourly_coverage_80", percent=True),
            _hourly("… one hour ahead", "hourly_coverage_80_h1", percent=True),
            _hourly("… 24 hours ahead", "hourly_coverage_80_h24", percent=True),
            _hourly("coverage of the 95% interval", "hourly_coverage_95", percent=True),
        ),
        _COINS,
        "The champion of hourly bars, reviewed each month: a baseline takes its place if it is shown to be worse.",
        "hourly champion",
        "tickercast forecast BTCUSDT 2023-07-22 --every 1h",
    ),
    ModelPage(
        "ewma-season",
        "ewma-season",
        HOURS,
        "Two moving averages of squared returns (λ .94 and .995), times the season of 168 hours, with the quantiles of "
        "the year before.",
        (
            _hourly("har-season's pinball loss, over this one's", "hourly_sp_vs_ewma_season_refreshed"),
            *_of_card("sp_vs_ewma_t", "coverage_80", "coverage_95"),
        ),
        _COINS,
        "The baseline of hourly bars. It also forecasts where the history is short. Refreshed each month, it is nearly "
        "as good as the champion, and takes its place if the champion is shown to be worse.",
        "hourly baseline",
        "tickercast backtest --every 6h --source hours --from 2022-07-01 --to 2023-08-30 --model ewma-season",
    ),
    ModelPage(
        "tickercast-lstm-1h",
        "tickercast-lstm-1h",
        HOURS,
        "Three small LSTMs that read the last 72 hours and the season that is known to come, and stretch the quantiles "
        "of har-season. They are trained again each half-year, without the last one.",
        (
            _hourly("pinball loss relative to har-season, refreshed alike", "hourly_lstm_vs_har"),
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
            _hourly("pinball loss relative to har-season, refreshed alike", "hourly_plain_vs_har"),
            *_of_card("sp_vs_ewma_t", "coverage_80", "coverage_95"),
        ),
        _COINS,
        "A companion. It shows that recurrence adds nothing that can be measured.",
        "companion",
        "tickercast backtest --every 6h --source hours --from 2022-07-01 --to 2023-08-30 --model tickercast-plain-1h",
    ),
    ModelPage(
        "ewma-t-1h",
        "ewma-t, hourly",
        HOURS,
        "RiskMetrics σ (λ .94) of hourly returns with Student's t of five degrees of freedom, times the root of the "
        "hours. It knows no season.",
        (
            _hourly("har-season's pinball loss, over this one's", "hourly_sp_vs_ewma_t"),
            _hourly("har-season's Winkler score of the 95% interval, over this one's", "hourly_w95_vs_ewma_t"),
        ),
        _COINS,
        "The yardstick. It knows no season, which costs it every morning.",
        "hourly baseline",
        "tickercast backtest --every 6h --source hours --from 2022-07-01 --to 2023-08-30 --model ewma-t",
    ),
    ModelPage(
        "xgb-direction",
        "xgb-direction",
        DIRECTIONS,
        "Boosted trees (XGBoost) that say how likely the next hour closes higher, from ten usual indicators and the "
        "measures of the hourly models, over a sliding window, grown again each month.",
        (
            _direction("Brier score; a coin has .25", "direction_brier"),
            _direction("… of the usual recipe, 200 trees of depth 4", "direction_brier_usual_recipe"),
            _direction("right directions", "direction_accuracy", percent=True),
            _direction("… by always saying up", "direction_always_up", percent=True),
            *(
                Measure(
                    f"right where the move was {words}", "models", f"direction_hit_rate_size_{number}", percent=True
                )
                for number, words in enumerate(MOVES, start=1)
            ),
            _direction("calibration error", "direction_calibration_error", percent=True),
            _direction("break-even fee per side, basis points", "direction_break_even_bps"),
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
    rows = [
        f"| {one.words} | {_value(one, card)} | {_origins(one, card)} |"
        for one in model.record
        if _is_measured(one, card)
    ]
    parts = (
        f"# {model.title}",
        _lines(model.what),
        f"```sh\n{model.run}\n```",
        "## Record",
        "\n".join(["| | | origins |", "|---|---|---|", *rows]) if rows else "",
        _lines(model.caveat),
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
        lines += [f"\n## {group}\n", "| model | record | origins | role |", "|---|---|---|---|"]
        for model in PAGES:
            if model.group == group:
                card = _card(model)
                first = _headline(model, card)
                record = f"{first.words}: {_value(first, card)}" if first else "not measured here"
                origins = _origins(first, card) if first else ""
                lines.append(f"| [{model.title}](models/{model.name}.md) | {record} | {origins} | {model.role} |")
    return "\n".join(lines) + "\n"


def _lines(text: str) -> str:
    return textwrap.fill(text, 120, break_long_words=False, break_on_hyphens=False)


def _is_measured(measure: Measure, card: ModelCard | None) -> bool:
    return measure.figure in _measured(measure, card)


def _measured(measure: Measure, card: ModelCard | None) -> Mapping[str, float]:
    return card.metrics if measure.file == "card" and card else _figures(measure.file)


def _origins(measure: Measure, card: ModelCard | None) -> str:
    return f"{_measured(measure, card)[measure.origins]:,.0f}" if measure.origins else ""


def _headline(model: ModelPage, card: ModelCard | None) -> Measure | None:
    return next((one for one in model.record if _is_measured(one, card)), None)


def _card(model: ModelPage) -> ModelCard | None:
    if not model.has_card:
        return None
    return ModelCard.model_validate_json((SHIPPED / model.name / "1" / "model.json").read_bytes())


def _path(model: ModelPage) -> str:
    return f"../src/tickercast/shipped/models/{model.name}/1/MODEL_CARD.md"


def _value(measure: Measure, card: ModelCard | None) -> str:
    figures = _measured(measure, card)
    named: Sequence[str] = (measure.figure, f"{measure.figure}_lo", f"{measure.figure}_hi")
    value, *ends = (_number(figures[name], measure.percent) for name in named if name in figures)
    return f"{value} [{ends[0]}, {ends[1]}]" if ends else value


def _number(value: float, percent: bool) -> str:
    if percent:
        return f"{value:.1%}"
    return f"{value:,.0f}" if abs(value) >= 10 else f"{value:.4f}"


def _figures(file: str) -> Mapping[str, float]:
    figures: Mapping[str, float] = json.loads((PROJECT / "benchmarks" / f"{file}.json").read_text())["figures"]
    return figures
