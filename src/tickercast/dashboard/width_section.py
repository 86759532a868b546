"""The part of the forecast page that says why an interval is as wide as it is."""

import pandas as pd
import streamlit as st

from tickercast.dashboard import state
from tickercast.dashboard.figures import width_figure
from tickercast.show import sentences


def show(symbol: str, fan: pd.DataFrame, *, is_champion: bool) -> None:
    """Say it in a sentence, and draw the factors.

    Args:
        symbol: the series.
        fan: the forecast, a row a step.
        is_champion: whether the champion made it.
    """
    st.markdown("### Why this width")
    with state.section():
        first = fan.iloc[0]
        made, found = state.why(symbol, first["cutoff"].date(), "" if is_champion else first["model_name"])
        said = sentences.why(made, found)
        st.markdown(said)
        state.picture(width_figure(found, state.palette()), key="why", alt=said)
        st.caption(f"Widths of the 80% interval of {found.step} sessions, from end to end, in log-returns.")
