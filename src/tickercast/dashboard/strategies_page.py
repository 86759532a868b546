"""The page of strategies: what they would have earned on stored forecasts, after costs, and what they want to hold."""

from datetime import date

import pandas as pd
import streamlit as st

from tickercast.dashboard import address, banner, state
from tickercast.dashboard.strategy_figures import drawdown_figure, equity_figure, positions_figure
from tickercast.domain.frequency import HOURLY, stamp
from tickercast.domain.symbols import parse_symbols
from tickercast.domain.trading.strategy import STRATEGIES
from tickercast.domain.trading.strategy_backtest import Backtest
from tickercast.plain import markdown
from tickercast.show import strategies as show_strategies
from tickercast.show import trading as show_trading
from tickercast.show.sentences import NOT_ADVICE, SIMULATED

_USUAL = ["volatility-target", "buy-and-hold"]


def show() -> None:
    """Draw the page."""
    if not state.frequencies():
        state.first_steps()
        return
    _halts()
    every = state.every()
    known = state.symbols(every)
    left, middle, right = st.columns([2, 2, 1], gap="large")
    usual = ["direction"] if every == HOURLY.name else _USUAL
    bound = address.bound_several("strategies", list(STRATEGIES), usual)
    chosen = left.pills("Strategies", list(STRATEGIES), selection_mode="multi", wrap=True, **bound)
    typed = middle.text_input("Symbols, with commas between", ", ".join(known[:5]), key="strategy_symbols")
    symbols: list[str] = []
    with state.section():
        symbols = parse_symbols(typed.replace(",", " ").split())
    fees = right.number_input("Fees, basis points", 0.0, 1000.0, 10.0, 1.0, key="fees")
    slippage = right.number_input("Slippage, basis points", 0.0, 1000.0, 5.0, 1.0, key="slippage")
    days = middle.date_input("From, to", state.forecast_span(every), key="strategy_days")
    if not chosen or not symbols or not isinstance(days, tuple) or len(days) != 2:
        st.info("Choose a strategy, a symbol, and two dates.", icon=":material/info:")
        return
    with state.section():
        _results(state.strategy_backtest(tuple(chosen), tuple(symbols), *_dates(days), every, fees, slippage))
    with state.section():
        _wanted(tuple(chosen), tuple(symbols), every)
    with state.section():
        _on_paper()
    st.caption(NOT_ADVICE)


def _wanted(names: tuple[str, ...], symbols: tuple[str, ...], every: str) -> None:
    """Show the wanted weights of strategies now; once every forecast has expired, those after the newest."""
    newest = [row for symbol in symbols if (row := state.current(symbol, every))]
    states = [str(row["state"]) for row in newest]
    as_of = max(row["cutoff"] for row in newest).date() if set(states) == {"expired"} else None
    st.markdown(f"### What they wanted to hold after {as_of}" if as_of else "### What they want to hold now")
    banner.currency(states)
    found = state.strategy_targets(names, symbols, every, as_of)
    if found.panel.simulated:
        st.error(SIMULATED, icon=":material/science:")
    rows = show_strategies.target_rows(found)
    state.table(rows, "The weight that each strategy wants of each symbol, and why", prose=True)
    st.caption(f"From the bars up to {stamp(found.panel.ends[-1].item())}, in shares of equity.")


def _halts() -> None:
    """Say first what is halted."""
    with state.section():
        for line in show_trading.halts(state.trading_status()):
            st.error(f"### {markdown(line)}", icon=":material/front_hand:")


def _on_paper() -> None:
    """Accounts that are traded on paper; nothing where there are none."""
    found = state.trading_status()
    if found.accounts.empty:
        return
    st.markdown("### On paper")
    state.table(show_trading.account_rows(found), "What each account is worth")
    figure = equity_figure(state.paper_equity(), state.palette())
    state.picture(figure, key="paper_equity", alt="The equity of each account on paper since its beginning")
    for rows, title in (
        (show_trading.position_rows(found), "What each account holds"),
        (show_trading.waiting_rows(found), "Orders that have not ended"),
    ):
        st.markdown(f"**{title}**")
        if len(rows):
            state.table(rows, title)
        else:
            st.caption("none")


def _dates(days: tuple[date, ...]) -> tuple[date, date]:
    first, last = days
    return first, last


def _results(found: Backtest) -> None:
    remarks = list(show_strategies.notes(found))
    if found.panel.simulated:
        st.error(SIMULATED, icon=":material/science:")
    for result in found.results:
        st.markdown(f"**{markdown(show_strategies.verdict(found, result))}**")
    state.table(show_strategies.rows(found), "What each strategy would have earned")
    st.caption(markdown(show_strategies.title(found)))
    for note in remarks:
        if note != SIMULATED:
            st.caption(markdown(note))
    accounts = show_strategies.accounts(found)
    for heading, figure, key in (
        ("Equity", equity_figure(accounts, state.palette()), "equity"),
        ("Drawdown", drawdown_figure(accounts, state.palette()), "drawdown"),
        ("Positions", positions_figure(accounts, state.palette()), "positions"),
    ):
        st.markdown(f"### {heading}")
        state.picture(figure, key=f"strategy_{key}", alt=_alt(heading, accounts))


def _alt(heading: str, accounts: pd.DataFrame) -> str:
    names = ", ".join(accounts["strategy"].unique())
    return f"{heading} of {names}, from {accounts['bar'].min():%Y-%m-%d} to {accounts['bar'].max():%Y-%m-%d}"
