"""The part of the track record about directions of the next hour; nothing where none is stored."""

import pandas as pd
import streamlit as st

from tickercast.dashboard import state
from tickercast.show import directions


def show() -> None:
    """Draw the part."""
    found = state.directions()
    if found.newest.empty:
        return
    st.markdown("## Direction of the next hour")
    state.table(pd.DataFrame(directions.newest_rows(found.newest)), "The newest direction of each symbol")
    for sentence in directions.record_sentences(found):
        st.markdown(sentence)
    if found.skill.empty:
        return
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown("### Hits by the size of the move")
        state.table(pd.DataFrame(directions.hit_rows(found.groups)), "Right directions by the size of the move")
    with right:
        st.markdown("### Stated and observed")
        state.table(pd.DataFrame(directions.reliability_rows(found.groups)), "Stated and observed frequency, in tenths")
    st.caption(directions.NO_MONEY)
