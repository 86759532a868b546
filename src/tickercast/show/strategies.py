"""Universes, signals and backtests of strategies as tables, sentences and JSON."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tickercast.domain.findings import LEFT_OUT
from tickercast.domain.frequency import stamp
from tickercast.domain.text import rounded
from tickercast.domain.trading.strategy import STRATEGIES, Targets
from tickercast.domain.trading.strategy_backtest import LEAST_BLOCKS, Backtest, Result, block_of
from tickercast.domain.trading.universe import SURVIVORS, Universe
from tickercast.plain import first_of
from tickercast.show import chart
from tickercast.show.sentences import NOT_ADVICE, SIMULATED, number, odd_bars, symbols
from tickercast.version import __version__

_SIDES = "long and short positions together are worth at most the equity"

# ---------------------------------------------------------------- the verdict


def verdict(found: Backtest, result: Result) -> str:
    """The verdict of a backtest on one variant, which claims no more than its interval allows."""
    name, sharpe = result.variant.name, result.deflated
    if not result.net.orders:
        return f"{name}: no edge after costs. It never traded."
    if math.isnan(sharpe.low):
        least = (LEAST_BLOCKS * block_of(found.panel)) + 1
        return (
            f"{name}: no edge after costs. {len(result.net.ends):,} bars are too few for an interval, which needs "
            f"{least:,}."
        )
    among = f"deflated for {found.tried} variant{'s' * (found.tried != 1)} tried"
    ends = f"{sharpe.value:.2f} [{sharpe.low:.2f}, {sharpe.high:.2f}]"
    if not result.has_edge:
        return f"{name}: no edge after costs. Its Sharpe ratio, {among}, is {ends}: not wholly above 0."
    if seen_by(found, result):
        return (
            f"{name}: no edge after costs is shown. Its Sharpe ratio, {among}, is {ends}, but a model that it reads "
            "was trained on some of these dates."
        )
    if stale := stale_in(found, result):
        return (
            f"{name}: no edge after costs is shown. Its Sharpe ratio, {among}, is {ends}, but it held "
            f"{first_of(stale, 8)} without a bar for more than a month, at its last price."
        )
    return f"{name}: above cash after costs. Its Sharpe ratio, {among}, is {ends}. The past is no promise."


def seen_by(found: Backtest, result: Result) -> int:
    """The number of a variant's signals that are of dates that a model was trained on."""
    return int(found.panel.seen[found.start :].sum()) if result.variant.reads else 0


def stale_in(found: Backtest, result: Result) -> list[str]:
    """The symbols that a variant held while they had no bar for more than a month."""
    held = {
        column for column, _, end in found.panel.gaps(found.start) if result.net.weights[end - found.start - 1, column]
    }
    return [found.panel.symbols[column] for column in sorted(held)]


def notes(found: Backtest) -> Iterator[str]:
    """The remarks that a reader of a backtest needs."""
    panel = found.panel
    if panel.simulated:
        yield SIMULATED
    if not found.point_in_time:
        yield SURVIVORS
    yield from _known_later(found)
    yield from _cut_short(found)
    yield from _without_volumes(found)
    yield from _odd_bars(found)
    yield from _gaps(found)
    by_reason: dict[str, list[str]] = {}
    for symbol, reason in found.failures.items():
        by_reason.setdefault(str(reason), []).append(symbol)
    for why, left in by_reason.items():
        yield f"{', '.join(left)} {'was' if len(left) == 1 else 'were'} left out. {why}"


def _known_later(found: Backtest) -> Iterator[str]:
    made, panel = found.panel.made[found.start :], found.panel
    if any(result.variant.reads for result in found.results):
        signals = int(made.sum())
        seen = int((panel.seen[found.start :] & made).sum())
        after = int((panel.backfilled[found.start :] & made).sum())
        if seen:
            yield f"Of {signals:,} signals, {seen:,} are of dates that the model was trained on."
        if after:
            yield f"Of {signals:,} signals, {after:,} were made when their future was known, from the bars before them."
        if doubtful := int((panel.doubts[found.start :] != "").sum()):
            yield f"Doubtful forecasts do not count: {doubtful:,} more that were made from odd bars were left out."


def _without_volumes(found: Backtest) -> Iterator[str]:
    """The symbols whose orders no volume bounds."""
    panel = found.panel.rows(found.start, len(found.panel))
    names = [
        symbol
        for symbol, closes, values in zip(panel.symbols, panel.close.T, panel.value.T, strict=True)
        if np.isfinite(closes).any() and not np.isfinite(values).any()
    ]
    if len(names) == len(panel.symbols):
        yield "The source has no volumes: no order was cut."
    elif names:
        said = "has no volumes: no order in it" if len(names) == 1 else "have no volumes: no order in them"
        yield f"{first_of(names, 8)} {said} was cut."


def _odd_bars(found: Backtest) -> Iterator[str]:
    """Sentences on bars that were left out or changed: an account knows nothing of a bar that is missing."""
    yield from odd_bars(found.findings)
    if any(each.check == LEFT_OUT for odd in found.findings.values() for each in odd):
        yield "What was held through a bar that was left out counts as if that bar had never been, which may flatter."


def _gaps(found: Backtest) -> Iterator[str]:
    """A sentence on the symbols that had no bar for more than a month while others had."""
    panel = found.panel
    gaps = [
        f"{panel.symbols[column]} ({' to '.join(stamp(end.item()) for end in panel.ends[[last, following]])})"
        for column, last, following in panel.gaps(found.start)
    ]
    if gaps:
        yield (
            f"Without a bar for more than a month: {first_of(gaps, 8)}. What was held meanwhile kept its last price, "
            "and no order in it was filled."
        )


def _cut_short(found: Backtest) -> Iterator[str]:
    for result in found.results:
        if result.net.delisted:
            held = ", ".join(result.net.delisted[:8])
            yield (
                f"{result.variant.name} held {held} after the last bar, while others had newer ones: that counts as a "
                f"delisting, and {found.costs.delisting_loss:.0%} of what was long was lost. If trading went on, "
                "forecast from newer bars, or let the backtest end earlier."
            )
        cut = result.net.capped + result.net.unfilled
        if cut:
            yield (
                f"{cut:,} of {result.net.orders + result.net.unfilled:,} orders of {result.variant.name} were cut to "
                f"{found.costs.capacity:.1%} of the bar's volume"
                + (f", {result.net.unfilled:,} of them to nothing." if result.net.unfilled else ".")
            )


def title(found: Backtest) -> str:
    """The symbols, dates and costs of a backtest."""
    ends, costs = found.panel.ends, found.costs
    step = f"every {found.every} bars" if found.every > 1 else f"every {found.panel.frequency.noun}"
    return (
        f"{symbols(len(found.panel.symbols))}, {stamp(ends[found.start].item())} to {stamp(ends[-1].item())}, decided "
        f"{step}, filled at the next open; fees {costs.fees_bps:g}, slippage {costs.slippage_bps:g} bps a side, borrow "
        f"{costs.borrow_bps:g} bps a year"
    )


# ---------------------------------------------------------------- tables


def rows(found: Backtest) -> pd.DataFrame:
    """One row a variant, as text."""
    return pd.DataFrame([_cells(found, result) for result in found.results])


def _cells(found: Backtest, result: Result) -> dict[str, str]:
    sharpe, deflated = result.sharpe, result.deflated
    return {
        "strategy": result.variant.name,
        "hash": result.variant.hash,
        "net": f"{result.net_return:+.1%}",
        "gross": f"{result.gross_return:+.1%}",
        "break-even": f"{number(result.break_even_bps, '.2f')} bps",
        "turnover a year": f"{result.turnover:,.1f} ×",
        "drawdown": f"{result.drawdown:.1%}",
        "Sharpe": f"{sharpe.value:.2f}",
        "95% interval": f"{number(sharpe.low, '.2f')} … {number(sharpe.high, '.2f')}",
        "deflated": f"{number(deflated.low, '.2f')} … {number(deflated.high, '.2f')}",
    }


def backtest_table(found: Backtest) -> RenderableType:
    """The variants side by side, a sentence on each, and what has to be known."""
    table = _table(rows(found), left=("strategy", "hash"), title=title(found))
    said = [Text(verdict(found, result)) for result in found.results]
    remarks = [Text(note, style="yellow") for note in notes(found)]
    return Group(table, *said, *remarks, Text(NOT_ADVICE, style="dim"))


def backtest_json(found: Backtest) -> dict[str, Any]:
    """The same, in a stable machine-readable form."""
    ends = found.panel.ends
    return {
        "symbols": list(found.panel.symbols),
        "frequency": found.panel.frequency.name,
        "first": stamp(ends[found.start].item()),
        "last": stamp(ends[-1].item()),
        "every": found.every,
        "tried": found.tried,
        "point_in_time": found.point_in_time,
        "costs": vars(found.costs),
        "strategies": [
            {
                "strategy": result.variant.strategy,
                "parameters": dict(result.variant.parameters),
                "hash": result.variant.hash,
                "net_return": result.net_return,
                "gross_return": result.gross_return,
                "break_even_bps": _finite(result.break_even_bps),
                "turnover_a_year": result.turnover,
                "drawdown": result.drawdown,
                "orders": result.net.orders,
                "sharpe": _ends(result.sharpe),
                "sharpe_deflated": _ends(result.deflated),
                "haircut": result.haircut,
                "deflated_sharpe_ratio": result.probability,
                "verdict": verdict(found, result),
            }
            for result in found.results
        ],
        "notes": [*notes(found), NOT_ADVICE],
    }


def _ends(found: Any) -> dict[str, float | None]:
    return {name: _finite(value) for name, value in vars(found).items()}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def accounts(found: Backtest) -> pd.DataFrame:
    """One row a variant and bar: equity after and before costs, drawdown, and the weight of each symbol."""
    parts = []
    for result in found.results:
        net = result.net
        part = pd.DataFrame(
            {
                "strategy": result.variant.name,
                "hash": result.variant.hash,
                "bar": net.ends.astype("datetime64[s]"),
                "equity": net.equity,
                "gross_equity": result.gross.equity,
                "drawdown": 1 - net.equity / np.maximum.accumulate(net.equity),
            }
        )
        weights = pd.DataFrame(net.weights, columns=[f"weight_{symbol}" for symbol in found.panel.symbols])
        parts.append(pd.concat([part, weights], axis=1))
    return pd.concat(parts, ignore_index=True)


def months(result: Result) -> pd.DataFrame:
    """The returns of a variant after costs, one row a year, one column a month, and the whole year, as text."""
    ends = pd.DatetimeIndex(result.net.ends.astype("datetime64[s]"))
    equity = pd.Series(result.net.equity, ends)
    last = equity.groupby([ends.year, ends.month]).last()
    monthly = (last / last.shift(fill_value=equity.iloc[0]) - 1).unstack().reindex(columns=range(1, 13))
    yearly = (1 + monthly.fillna(0)).prod(axis=1) - 1
    cells = monthly.assign(year=yearly).map(lambda value: number(value, "+.1%"))
    cells.columns = [*_MONTHS, "year"]
    return cells.rename_axis("").reset_index()


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def page(found: Backtest) -> str:
    """Render a backtest as one self-contained page, which loads nothing from elsewhere."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    names = [result.variant.name for result in found.results]
    table, moves = rows(found), accounts(found)
    alt = f"Equity and drawdown of {', '.join(names)}. {title(found)}"
    return environment.get_template("strategies.html").render(
        title=f"{', '.join(names)}: {'an edge' if _claims(found) else 'no edge'} after costs",
        about=title(found),
        verdicts=[verdict(found, result) for result in found.results],
        notes=list(notes(found)),
        heads=list(table.columns),
        rows=table.to_dict("records"),
        wide=chart.accounts_svg(moves, name="wide", alt=alt),
        narrow=chart.accounts_svg(moves, name="narrow", alt=alt, narrow=True),
        months=[(result.variant.name, months(result)) for result in found.results],
        colours=chart.COLOURS,
        version=__version__,
        advice=NOT_ADVICE,
    )


def _claims(found: Backtest) -> bool:
    """Whether any verdict claims an edge."""
    return any(
        result.has_edge and not seen_by(found, result) and not stale_in(found, result) for result in found.results
    )


def strategies_table() -> RenderableType:
    """The strategies that are built in."""
    from tickercast.domain.trading.strategy import parse

    made = [parse(name) for name in STRATEGIES]
    cells = [
        {
            "strategy": one.strategy,
            "hash": one.hash,
            "parameters": ", ".join(f"{key}={value:g}" for key, value in one.parameters.items()),
            "what it does": STRATEGIES[one.strategy].summary,
        }
        for one in made
    ]
    return _table(pd.DataFrame(cells), left=("strategy", "hash", "parameters", "what it does"))


def target_rows(found: Targets) -> pd.DataFrame:
    """One row a variant and symbol: the weight that is wanted, and why."""
    cells = [
        {
            "strategy": one.name,
            "hash": one.hash,
            "symbol": symbol,
            "weight": number(weight, "+.1%"),
            "reason": reason,
        }
        for one, each in found.wanted
        for symbol, weight, reason in _wanted(found, each)
    ]
    return pd.DataFrame(cells)


def _wanted(found: Targets, wanted: Sequence[tuple[float, str]]) -> list[tuple[str, float, str]]:
    """The weight and reason of each symbol, those that are missing too."""
    known = [(symbol, *each) for symbol, each in zip(found.panel.symbols, wanted, strict=True)]
    return [*known, *((symbol, math.nan, f"left out: {why}") for symbol, why in found.missing.items())]


def targets_table(found: Targets) -> RenderableType:
    """The wanted weights of variants, side by side."""
    end = stamp(found.panel.ends[-1].item())
    table = _table(
        target_rows(found),
        left=("strategy", "hash", "symbol", "reason"),
        title=f"from {end}, in shares of equity; {_SIDES}",
    )
    warned = [Text(SIMULATED, style="bold red")] if found.panel.simulated else []
    return Group(table, *warned, Text(NOT_ADVICE, style="dim"))


def targets_json(found: Targets) -> dict[str, Any]:
    """The same, in a stable machine-readable form."""
    return {
        "cutoff": stamp(found.panel.ends[-1].item()),
        **({"simulated": True} if found.panel.simulated else {}),
        "strategies": [
            {
                "strategy": one.strategy,
                "parameters": dict(one.parameters),
                "hash": one.hash,
                "targets": [
                    {"symbol": symbol, "weight": _finite(weight), "reason": reason}
                    for symbol, weight, reason in _wanted(found, each)
                ],
            }
            for one, each in found.wanted
        ],
    }


# ---------------------------------------------------------------- universes


def universe_title(found: Universe) -> str:
    """The date, rule and members of a watchlist, as a title."""
    return f"{found.rule}, of {found.members:,} members, as of {found.as_of}"


def universe_table(found: Universe) -> RenderableType:
    """One row a symbol, and what has to be known."""
    cells = [
        {
            "rank": f"{row.rank:,}",
            "symbol": row.symbol,
            "ranked by": rounded(row.score, 4),
            "": "held" if row.is_held else "",
        }
        for row in found.rows
    ]
    table = _table(pd.DataFrame(cells), left=("symbol", ""), title=universe_title(found))
    return Group(table, *(Text(note, style="yellow") for note in universe_notes(found)), Text(NOT_ADVICE, style="dim"))


def universe_notes(found: Universe) -> Iterator[str]:
    """Remarks on symbols that were left out, and on survivors."""
    if not found.point_in_time:
        yield SURVIVORS
    if found.failures:
        first = next(iter(found.failures.values()))
        yield f"{symbols(len(found.failures))} could not be ranked. The first: {first}"


def universe_json(found: Universe) -> dict[str, Any]:
    """The same, in a stable machine-readable form."""
    return {
        "as_of": str(found.as_of),
        "rule": found.rule,
        "members": found.members,
        "point_in_time": found.point_in_time,
        "watchlist": [vars(row) for row in found.rows],
        "left_out": dict(found.failures),
        "notes": [SURVIVORS] if not found.point_in_time else [],
    }


def watchlist(found: Universe) -> str:
    """A file of symbols that the daily flow takes as it is."""
    lines = [f"# {universe_title(found)}"]
    if not found.point_in_time:
        lines.append(f"# {SURVIVORS}")
    return "\n".join([*lines, *(row.symbol for row in found.rows)]) + "\n"


def _table(cells: pd.DataFrame, *, left: tuple[str, ...], title: str = "") -> Table:
    table = Table(box=box.SIMPLE_HEAD, title=Text(title) if title else None, title_justify="left", pad_edge=False)
    for heading in cells.columns:
        if heading in ("reason", "what it does"):
            table.add_column(heading)
        else:
            table.add_column(heading, justify="left" if heading in left else "right", no_wrap=True)
    for row in cells.itertuples(index=False):
        table.add_row(*map(str, row))
    return table
