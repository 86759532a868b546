"""The part of the forecast page that answers how likely a price is."""

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from tickercast.dashboard import state
from tickercast.dashboard.figures import odds_figure
from tickercast.domain.text import decimals, price
from tickercast.show.answers import Question, measured, percent

_USUAL = 1.03  # the first price to ask for, over the last close


def show(symbol: str, fan: pd.DataFrame) -> None:
    """Ask for a price, and draw its chances by session.

    Args:
        symbol: the series.
        fan: the champion's forecast, a row a step.
    """
    st.markdown("### The chance of a price")
    last = float(fan["last_close"].iloc[0])
    places = decimals(last)
    typed = st.number_input(
        "Price",
        min_value=last / 10,
        max_value=last * 10,
        value=float(f"{last * _USUAL:.4g}"),
        step=10.0**-places,
        format=f"%.{places}f",
        key=f"level-{symbol}-{last}",
        width=200,
    )
    level = round(typed, places)  # as the box shows it
    named = price(level, beside=last)
    asked = Question(level=level, below=level < last)
    with state.section():
        found, remarks = state.odds(symbol, fan["cutoff"].iloc[0].date(), level, last)
        state.picture(_figure(found, asked), key="odds", alt=f"Chances by session that {symbol} reaches {named}")
        side, touched = ("below", "low") if asked.below else ("above", "high")
        end = found.iloc[-1]
        st.caption(
            f"By {end['target_date']:%Y-%m-%d}: some {touched} touches {named} with a chance of "
            f"{percent(end['touches'])}, some close lies {side} it with {percent(end['closes'])}, and the last one "
            f"with {percent(end['ends'])}. {measured()}"
        )
        state.notes(remarks)


def _figure(found: pd.DataFrame, asked: Question) -> go.Figure:
    return odds_figure(found, asked.titles, state.palette())
