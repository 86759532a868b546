"""Trading on paper as tables, sentences and JSON."""

import math
from collections.abc import Iterator
from typing import Any

import pandas as pd
from rich.console import Group, RenderableType
from rich.text import Text

from tickercast.domain.frequency import stamp
from tickercast.domain.text import price, rounded
from tickercast.jobs.trading.trade import Traded
from tickercast.plain import first_of
from tickercast.reading.trading import TradingStatus
from tickercast.show.fitting import Table
from tickercast.show.sentences import NOT_ADVICE, SIMULATED, amount, listed, number

_LEFT = ("account", "strategy", "symbol", "leg", "side", "status", "why", "reason", "cutoff")


def traded_table(found: Traded) -> RenderableType:
    """The orders of a run, and what has to be known."""
    parts: list[RenderableType] = []
    if found.sent:
        parts.append(_table(order_rows(found), title=traded_title(found)))
    else:
        parts += [
            Text(traded_title(found)),
            Text("No order was sent." if found.halt is not None or found.left or found.met else "No order was needed."),
        ]
    return Group(*parts, *(Text(line) for line in _remarks(found)), Text(NOT_ADVICE, style="dim"))


def traded_title(found: Traded) -> str:
    """The account, the bar and the equity, as a title."""
    bar = stamp(found.cutoff) if found.cutoff else "no bar"
    what = "simulated exchange" if found.simulated else "paper"
    return (
        f"{found.account}, {what}: {found.variant.name} after {bar}, equity {amount(float(found.state.equity))} "
        f"{found.state.currency}, cash {amount(float(found.state.cash))}"
    )


def order_rows(found: Traded) -> pd.DataFrame:
    """One row an order of a run."""
    return pd.DataFrame(
        {
            "symbol": each.planned.symbol,
            "leg": each.planned.leg,
            "side": each.planned.side.value,
            "quantity": _quantity(float(each.planned.quantity)),
            "price": price(float(each.planned.price)),
            "weight": number(each.planned.weight, "+.1%"),
            "status": each.status,
            "why": each.reason or each.planned.reason,
        }
        for each in found.sent
    )


def _quantity(value: float) -> str:
    """A quantity to a millionth of a share; a small one with six digits, and so never as 0.

    >>> _quantity(1127.979678), _quantity(12.0), _quantity(1.5e-8)
    ('1,127.979678', '12', '0.000000015')
    """
    return rounded(value) if abs(value) < _SMALL else f"{value:,.6f}".rstrip("0").rstrip(".")


_SMALL = 0.1


def _remarks(found: Traded) -> Iterator[str]:
    if found.on_simulated_bars:
        yield SIMULATED
    if found.dry:
        yield "A dry run: nothing was stored or sent."
    if found.halt is not None:
        yield f"HALTED: {found.halt.reason}"
    yield from found.met
    yield from listed([f"{symbol}: {why}." for symbol, why in found.left.items()])


def traded_line(found: Traded) -> str:
    """A run in a line, for flows and the digest."""
    halt = f"; HALTED: {found.halt.reason}" if found.halt else ""
    orders = f"{len(found.sent)} order{'s' * (len(found.sent) != 1)}"
    equity = f"{amount(float(found.state.equity))} {found.state.currency}"
    left = "".join(f"; {each}" for each in listed([f"{symbol}: {why}" for symbol, why in found.left.items()], 3))
    return f"{found.account}: {found.variant.name}, {orders}, equity {equity}{halt}{left}"


def traded_json(found: Traded) -> dict[str, Any]:
    """The same, in a stable machine-readable form."""
    return {
        "account": found.account,
        "strategy": found.variant.name,
        "hash": found.variant.hash,
        "cutoff": stamp(found.cutoff) if found.cutoff else None,
        "simulated_exchange": found.simulated,
        **({"simulated": True} if found.on_simulated_bars else {}),
        "dry_run": found.dry,
        "currency": found.state.currency,
        "equity": float(found.state.equity),
        "cash": float(found.state.cash),
        "positions": {symbol: float(each) for symbol, each in sorted(found.held.items())},
        "orders": [
            {
                "client_id": each.client_id,
                "symbol": each.planned.symbol,
                "leg": each.planned.leg,
                "side": each.planned.side.value,
                "quantity": float(each.planned.quantity),
                "price": float(each.planned.price),
                "weight": None if math.isnan(each.planned.weight) else each.planned.weight,
                "status": str(each.status),
                "reason": each.reason or each.planned.reason,
            }
            for each in found.sent
        ],
        "left": dict(found.left),
        "limits": list(found.met),
        "halted": found.halt.reason if found.halt else None,
    }


# ---------------------------------------------------------------- status


def account_rows(found: TradingStatus) -> pd.DataFrame:
    """One row an account."""
    return pd.DataFrame(
        {
            "account": row["account"],
            "strategy": row["strategy"],
            "cutoff": f"{row['cutoff_at']:%Y-%m-%d %H:%M}",
            "equity": f"{amount(row['equity'])} {row['currency']}",
            "gain": number(row["gain"], "+.1%"),
            "drawdown": number(row["drawdown"], ".1%"),
        }
        for row in found.accounts.to_dict("records")
    )


def position_rows(found: TradingStatus) -> pd.DataFrame:
    """One row a position."""
    return pd.DataFrame(
        {
            "account": row["account"],
            "symbol": row["symbol"],
            "quantity": rounded(row["quantity"]),
            "close": price(row["last_close"]),
            "value": amount(row["value"]),
            "gain": number(row["gain"], "+,.2f"),
        }
        for row in found.positions.to_dict("records")
    )


def waiting_rows(found: TradingStatus) -> pd.DataFrame:
    """One row an order that has not ended."""
    return pd.DataFrame(
        {
            "account": row["account"],
            "symbol": row["symbol"],
            "leg": row["leg"],
            "side": row["side"],
            "quantity": rounded(row["quantity"]),
            "status": row["status"],
            "cutoff": f"{row['cutoff_at']:%Y-%m-%d %H:%M}",
        }
        for row in found.orders.to_dict("records")
    )


def halts(found: TradingStatus) -> list[str]:
    """The reasons why accounts are halted, a sentence each."""
    if found.halt:
        return [f"HALTED, everything: {found.halt}"]
    return [
        f"HALTED, {row['strategy']} in {row['account']}: {row['halted']}"
        for row in found.accounts.to_dict("records")
        if row["halted"]
    ]


def trading_lines(found: TradingStatus) -> list[str]:
    """Halts, then a line an account: what it is worth, and what it holds."""
    lines = []
    for row in found.accounts.to_dict("records"):
        held = found.positions[found.positions["account"] == row["account"]]
        what = [f"{rounded(each['quantity'])} {each['symbol']}" for each in held.to_dict("records")]
        equity = f"{amount(row['equity'])} {row['currency']}"
        lines.append(
            f"{row['account']}, {row['strategy']}: {equity}, {row['gain']:+.1%} since its start, "
            f"{row['drawdown']:.1%} below its peak; it holds {first_of(what, 8) or 'nothing'}"
        )
    return [*halts(found), *lines]


def status_table(found: TradingStatus) -> RenderableType:
    """Accounts, positions, open orders and halts."""
    if found.accounts.empty:
        return Text("\n".join(["Nothing has been traded: run tickercast trade --strategy NAME.", *halts(found)]))
    parts: list[RenderableType] = [_table(account_rows(found), title="accounts")]
    for rows, title in ((position_rows(found), "positions"), (waiting_rows(found), "open orders")):
        parts.append(_table(rows, title=title) if len(rows) else Text(f"{title}: none"))
    return Group(*parts, *(Text(each, style="bold red") for each in halts(found)), Text(NOT_ADVICE, style="dim"))


def status_json(found: TradingStatus) -> dict[str, Any]:
    """The same, in a stable machine-readable form."""

    def records(rows: pd.DataFrame) -> list[dict[str, Any]]:
        made = rows.astype(object).where(rows.notna(), None).to_dict("records")
        return [
            {str(key): value.isoformat() if hasattr(value, "isoformat") else value for key, value in row.items()}
            for row in made
        ]

    return {
        "accounts": records(found.accounts),
        "positions": records(found.positions),
        "open_orders": records(found.orders),
        "halted": halts(found),
    }


def _table(rows: pd.DataFrame, *, title: str) -> Table:
    table = Table(title=Text(title))
    for heading in rows.columns:
        left = heading in _LEFT
        table.add_column(str(heading), justify="left" if left else "right", no_wrap=heading != "why", overflow="fold")
    for row in rows.itertuples(index=False):
        table.add_row(*map(str, row))
    return table
