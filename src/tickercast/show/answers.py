"""Odds, paths and portfolios as tables and JSON."""

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Group, RenderableType
from rich.text import Text

from tickercast.domain.freshness import freshness_of
from tickercast.domain.outlook.odds import Ways
from tickercast.domain.outlook.paths import ENOUGH, levels_of
from tickercast.domain.outlook.portfolio import correlation, risk, shares
from tickercast.domain.text import price
from tickercast.plain import first_of
from tickercast.reading.holdings import PortfolioOutlook
from tickercast.reading.outlook import Outlook, SymbolOdds
from tickercast.reading.portfolio_record import PortfolioRecord
from tickercast.show.fitting import Table
from tickercast.show.overview import STATES
from tickercast.show.sentences import SIMULATED

MEASURED = {"closes": 3.0, "touches": 1.6}
"""The largest difference of stated chance and observed frequency in ten bins: `benchmarks/answers.json`, in percent."""

CONFIDENCES = (0.95, 0.99)
"""The confidences of value at risk and expected shortfall."""

APART = "Not every symbol trades on each of these dates: until its next session, its last close counts."
"""Said beside a portfolio of symbols whose exchanges open on different dates."""

EXTRAPOLATED = "99% lies beyond the stored quantiles, which end at 97.5%: it is extrapolated."
"""Said beside every figure of 99%."""

_LONGEST = 12  # holdings in the table of correlations, and in a note


# ---------------------------------------------------------------- odds


@dataclass(frozen=True)
class Question:
    """A question about prices; one of the first three is set.

    Attributes:
        level: the chance to be beyond this price.
        between: the chance to stay between these two.
        chance: the prices that have this chance.
        below: whether beyond means below.
    """

    level: float | None = None
    between: tuple[float, float] | None = None
    chance: float | None = None
    below: bool = False

    @property
    def titles(self) -> Ways[str]:
        """The titles of the three answers."""
        if self.between:
            return Ways("ends between", "all closes between", "all prices between")
        if self.below:
            return Ways("ends below", "some close below", "some low touches")
        return Ways("ends above", "some close above", "some high touches")


def odds_rows(found: SymbolOdds, asked: Question, steps: int) -> list[Ways[float]]:
    """The answers up to each of the first steps: shares, or prices where a chance was given."""
    if asked.chance is not None:
        answers = found.prices(asked.chance, below=asked.below)
    elif asked.between:
        answers = found.between(*asked.between)
    else:
        level = asked.level or found.made.last_close
        answers = found.below(level) if asked.below else found.above(level)
    return [Ways(*row) for row in answers[["ends", "closes", "touches"]].head(steps).itertuples(index=False)]


def odds_table(
    found: SymbolOdds, asked: Question, rows: Sequence[Ways[float]], ages: Sequence[Text] = ()
) -> RenderableType:
    """One row a session; then what the chances were measured to be worth."""
    made, titles = found.made, asked.titles
    table = Table(title=_title(found, asked))
    table.add_column("up to", no_wrap=True)
    for heading in (titles.ends, titles.closes, titles.touches):
        table.add_column(heading, justify="right", no_wrap=True)
    for day, row in zip(found.outlook.dates, rows, strict=False):
        cells = (row.ends, row.closes, row.touches)
        table.add_row(
            str(day), *(price(each, made.last_close) if asked.chance is not None else percent(each) for each in cells)
        )
    return Group(table, *ages, *notes(found.outlook), Text(measured(), style="dim"))


def measured() -> str:
    """The measured accuracy of stated chances, in a sentence."""
    return (
        "On symbols and dates that the model was not trained on, with stated chances grouped into ten bins, the "
        f"observed frequency differed by at most {MEASURED['closes']:g} percentage points for closes and "
        f"{MEASURED['touches']:g} for highs and lows."
    )


def percent(share: float) -> str:
    """A chance, with a decimal where it is small or near to certain.

    >>> percent(0.314), percent(0.0123), percent(0.0004), percent(0.9999)
    ('31%', '1.2%', '< 0.1%', '> 99.9%')
    """
    if not 0.001 <= share <= 0.999:
        return "< 0.1%" if share < 0.5 else "> 99.9%"
    return f"{share:.0%}" if 0.05 <= share <= 0.95 else f"{share:.1%}"


def odds_json(
    found: SymbolOdds, asked: Question, rows: Sequence[Ways[float]], ages: Sequence[Text] = ()
) -> dict[str, Any]:
    """The same, in a stable machine-readable form."""
    days = zip(found.outlook.dates, rows, strict=False)
    question = {"above": None, "below": None, "between": asked.between, "chance": asked.chance}
    question["below" if asked.below else "above"] = asked.level
    return {
        "symbol": found.made.symbol,
        "cutoff": str(found.outlook.cutoff),
        "last_close": found.made.last_close,
        "model_name": found.made.model_name,
        "model_version": found.made.model_version,
        **({"simulated": True} if found.made.simulated else {}),
        "past_sessions": found.outlook.sessions,
        "remarks": [str(each) for each in (*ages, *notes(found.outlook))],
        "question": {name: value for name, value in question.items() if value is not None}
        | ({"side": "below"} if asked.below and asked.chance is not None else {}),
        "answers": [
            {"step": step, "target_date": str(day), "ends": row.ends, "closes": row.closes, "touches": row.touches}
            for step, (day, row) in enumerate(days, start=1)
        ],
    }


def _title(found: SymbolOdds, asked: Question) -> Text:
    made = found.made
    if asked.between:
        question = f"between {price(asked.between[0])} and {price(asked.between[1])}"
    elif asked.chance is not None:
        question = f"{'lows' if asked.below else 'highs'} with a chance of {percent(asked.chance)}"
    else:
        question = f"{'below' if asked.below else 'above'} {price(asked.level or made.last_close)}"
    return Text(f"{made.symbol} {question}, from {price(made.last_close)} on {made.cutoff}")


def ages_of(found: Outlook, now: datetime) -> list[Text]:
    """Remarks on the forecasts that are no longer fresh."""
    ages = {made.symbol: freshness_of(made, now) for made in found.forecasts}
    old = {age: [name for name, other in ages.items() if other == age] for age in ages.values() if age.state != "fresh"}
    whose = "{0}" if len(ages) == 1 else "{1}: {0}"
    return [
        Text(whose.format(age.sentence, first_of(names, _LONGEST)), style=STATES[age.state])
        for age, names in old.items()
    ]


def notes(found: Outlook) -> Iterator[Text]:
    """Remarks beside figures drawn from paths: simulated and odd bars, results days, a short past."""
    if any(made.simulated for made in found.forecasts):
        yield Text(SIMULATED, style="bold red")
    if doubtful := [made.symbol for made in found.forecasts if made.doubtful]:
        yield Text(f"Odd bars, so that the width may be wrong: {first_of(doubtful, _LONGEST)}.", style="yellow")
    if coming := [f"{made.symbol} {made.results}" for made in found.forecasts if made.results and made.results.effect]:
        yield Text(f"Results expected inside this horizon: {first_of(coming, _LONGEST)}.")
    if found.sessions < ENOUGH:
        yield Text(
            f"Drawn from {found.sessions:,} past sessions, and {ENOUGH:,} were wanted: rare moves are less certain.",
            style="yellow",
        )


# ---------------------------------------------------------------- paths


def paths_table(found: Outlook, ages: Sequence[Text] = ()) -> RenderableType:
    """One row a symbol: the range of its paths at the last step, and of their highs and lows."""
    table = Table()
    for heading in ("symbol", "last close", "last session", "80% of closes", "80% of lows", "80% of highs"):
        table.add_column(heading, justify="left" if heading == "symbol" else "right", no_wrap=True)
    for number, made in enumerate(found.forecasts):
        ends = [
            made.last_close * np.exp(levels_of(values, [0.1, 0.9]))
            for values in (
                found.paths.close[number, -1],
                found.paths.low[number].min(axis=0),
                found.paths.high[number].max(axis=0),
            )
        ]
        ranges = [f"{price(low, made.last_close)} – {price(high, made.last_close)}" for low, high in ends]
        table.add_row(made.symbol, price(made.last_close), str(made.steps[-1].target_date), *ranges)
    count = found.paths.close.shape[-1]
    line = Text(f"{count:,} paths from {found.cutoff}, drawn from {found.sessions:,} past sessions", style="dim")
    return Group(table, *ages, *notes(found), line)


# ---------------------------------------------------------------- portfolio


def portfolio_title(found: PortfolioOutlook) -> str:
    """The holdings of a portfolio and their value, as a title."""
    count, worth = len(found.exposures), float(found.exposures.sum())
    holdings = f"{count} holding{'' if count == 1 else 's'}"
    return f"{holdings} worth {worth:,.2f} {found.held.currency} on {found.outlook.cutoff}"


def portfolio_table(found: PortfolioOutlook, ages: Sequence[Text] = ()) -> RenderableType:
    """Gains and risks by step, the part of each holding, the worst path, and how the holdings move together."""
    currency, title = found.held.currency, Text(portfolio_title(found))
    table = Table(title=title)
    for heading in ("date", "median", "80% interval", "VaR 95%", "ES 95%", "VaR 99%", "ES 99%"):
        table.add_column(heading, justify="left" if heading == "date" else "right", no_wrap=True)
    for day, row in zip(found.outlook.dates, risks(found), strict=True):
        losses = (money(-row[f"{name}_{level}"]) for level in (95, 99) for name in ("var", "es"))
        table.add_row(str(day), money(row["median"]), f"{money(row['lo_80'])} … {money(row['hi_80'])}", *losses)
    return Group(
        table,
        _holdings_table(found),
        *_correlations(found),
        *ages,
        *portfolio_notes(found),
        Text(f"Gains and losses in {currency} over the value at the cutoff. {EXTRAPOLATED}", style="dim"),
    )


def portfolio_notes(found: PortfolioOutlook) -> Iterator[Text]:
    """Remarks beside the risk of a portfolio."""
    yield from notes(found.outlook)
    if found.outlook.apart:
        yield Text(APART, style="dim")


def portfolio_json(found: PortfolioOutlook, ages: Sequence[Text] = ()) -> dict[str, Any]:
    """The same, in a stable machine-readable form."""
    tail = risk(found.gains[-1], 0.95)
    parts = shares(found.parts[:, -1], tail.worst)
    holdings = zip(found.held.holdings, found.exposures, parts, strict=True)
    steps = zip(found.outlook.dates, risks(found), strict=True)
    return {
        "cutoff": str(found.outlook.cutoff),
        **({"simulated": True} if any(made.simulated for made in found.outlook.forecasts) else {}),
        "currency": found.held.currency,
        "value": float(found.exposures.sum()),
        "past_sessions": found.outlook.sessions,
        "remarks": [str(each) for each in (*ages, *portfolio_notes(found))],
        "steps": [{"step": step, "target_date": str(day), **row} for step, (day, row) in enumerate(steps, start=1)],
        "holdings": [
            {
                "symbol": held.symbol,
                "shares": held.shares,
                **({"fx": held.fx} if held.fx else {}),
                "value": float(worth),
                "es_95_part": float(part),
            }
            for held, worth, part in holdings
        ],
    }


def record_line(made: PortfolioRecord) -> str:
    """The record of one session at 95% in a sentence."""
    first = next((each for each in made.records if each.step == 1), None)
    if first is None:
        if made.rows.empty:
            return (
                "nothing can be counted yet: forecasts of all holdings from one cutoff and the closes that followed "
                "were needed, which the daily run stores"
            )
        return f"{len(made.rows):,} periods have ended, and none counts: the model had seen them, or they are doubtful"
    times = "time" if first.breaches == 1 else "times"
    share = f"{first.share:.1%}" if first.days else "–"
    return (
        f"in {first.days:,} sessions the VaR of 95% was exceeded {first.breaches} {times}, {share}: "
        f"{first.verdict.value}"
    )


def record_frame(made: PortfolioRecord) -> pd.DataFrame:
    """The record as text: one row a holding period and confidence."""
    titles = ["sessions", "level", "periods", "breaches", "Kupiec p", "Christoffersen p", "verdict"]
    rows = [
        (
            str(each.step),
            f"{each.level:.0%}",
            f"{each.days:,}",
            f"{each.breaches:,} ({each.share:.1%})",
            f"{each.kupiec:.2f}",
            f"{each.christoffersen:.2f}",
            each.verdict.value,
        )
        for each in made.records
    ]
    return pd.DataFrame(rows, columns=titles)


def record_table(made: PortfolioRecord, name: str) -> RenderableType:
    """The same for a terminal, and what was counted."""
    rows = record_frame(made)
    if rows.empty:
        return Text(f"{name}: {record_line(made)}.")
    first, last = made.rows["cutoff"].min(), made.rows["cutoff"].max()
    table = Table(title=Text(f"{name}, {first:%Y-%m-%d} to {last:%Y-%m-%d}"))
    for heading in rows.columns:
        table.add_column(heading, justify="left" if heading == "verdict" else "right", no_wrap=True)
    for row in rows.itertuples(index=False):
        table.add_row(*map(str, row))
    return Group(table, *([Text(SIMULATED, style="bold red")] if made.simulated else []), Text(COUNTED, style="dim"))


COUNTED = (
    "The holdings are those of today. Periods do not overlap. Doubtful forecasts do not count, nor do backfills of "
    "dates that their model had seen; forecasts that were requested for old dates do."
)
"""A remark on the periods and forecasts that a record of a portfolio counts."""


def record_json(made: PortfolioRecord) -> dict[str, Any]:
    """The same, in a stable machine-readable form."""
    return {
        **({"simulated": True} if made.simulated else {}),
        "records": [{**dataclasses.asdict(each), "share": each.share if each.days else None} for each in made.records],
        "periods": [
            {**row, "cutoff": str(row["cutoff"].date()), "target_date": str(row["target_date"].date())}
            for row in made.rows.to_dict("records")
        ],
    }


def risks(found: PortfolioOutlook) -> list[dict[str, float]]:
    """The median gain, the 80% interval, and value at risk and expected shortfall of each step, in currency."""
    rows = []
    for values in found.gains:
        low, median, high = levels_of(values, [0.1, 0.5, 0.9])
        row = {"median": float(median), "lo_80": float(low), "hi_80": float(high)}
        for level in CONFIDENCES:
            each = risk(values, level)
            row |= {f"var_{level:.0%}"[:-1]: each.value_at_risk, f"es_{level:.0%}"[:-1]: each.expected_shortfall}
        rows.append(row)
    return rows


def holdings_frame(found: PortfolioOutlook) -> pd.DataFrame:
    """The share of each holding in the expected shortfall of the last step, as text, the riskiest first."""
    tail = risk(found.gains[-1], 0.95)
    parts = shares(found.parts[:, -1], tail.worst)
    worst = found.parts[:, -1, tail.worst[0]]
    rows = []
    for number in np.argsort(-parts):
        held = found.held.holdings[number]
        share = f"{parts[number] / tail.expected_shortfall:.0%}" if tail.expected_shortfall > 0 else "–"
        cells = (found.exposures[number], -parts[number])
        rows.append((held.symbol, f"{held.shares:,g}", *map(money, cells), share, money(worst[number])))
    titles = ["holding", "shares", "value", "part of ES 95%", "share", "in the worst path"]
    return pd.DataFrame(rows, columns=titles)


def _holdings_table(found: PortfolioOutlook) -> Table:
    rows = holdings_frame(found)
    table = Table()
    for heading in rows.columns:
        table.add_column(heading, justify="left" if heading == "holding" else "right", no_wrap=True)
    for row in rows.itertuples(index=False):
        table.add_row(*map(str, row))
    return table


def _correlations(found: PortfolioOutlook) -> Iterator[Table]:
    """The table of correlations between few holdings, in a session that all have; none for one holding or many."""
    symbols = [held.symbol for held in found.held.holdings]
    if not 1 < len(symbols) <= _LONGEST or (moves := found.outlook.session) is None:
        return
    place = {made.symbol: number for number, made in enumerate(found.outlook.forecasts)}
    rows = [place[symbol] for symbol in symbols]
    matrix = correlation(moves[rows])
    table = Table(title=Text("correlation of one session"))
    for heading in ("", *symbols):
        table.add_column(heading, justify="right" if heading else "left", no_wrap=True)
    for symbol, row in zip(symbols, matrix, strict=True):
        table.add_row(symbol, *(f"{value:.2f}" for value in row))
    yield table


def money(value: float) -> str:
    """An amount, without decimals where it is large.

    >>> money(-1234.5), money(12.345)
    ('-1,234', '12.35')
    """
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:,.2f}"
