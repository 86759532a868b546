"""The portfolio page: what holdings that move together can gain and lose."""

import pandas as pd
import streamlit as st

from tickercast.dashboard import banner, state
from tickercast.dashboard.figures import gains_figure
from tickercast.reading.holdings import PortfolioOutlook
from tickercast.show.answers import EXTRAPOLATED, holdings_frame, portfolio_title, risks
from tickercast.show.sentences import NOT_ADVICE, SIMULATED


def show() -> None:
    """Draw the page."""
    if not state.frequencies():
        state.first_steps()
        return
    st.markdown(
        "Holdings as lines of `symbol,shares`, the titles in the first; negative shares are a short position. Each "
        "symbol needs a stored forecast. They stay in this page, and are stored nowhere."
    )
    known = [symbol for symbol in state.symbols("1d") if not symbol.startswith("^")][:3]
    usual = "\n".join(["symbol,shares", *(f"{symbol},100" for symbol in known)])
    left, right = st.columns([1, 2], gap="large")
    with left:
        file = st.file_uploader("A file of holdings", type="csv", max_upload_size=1)
        typed = st.text_area("Holdings", usual, height=220, key="holdings", disabled=file is not None)
    text, name = (file.getvalue().decode("utf-8", "replace"), file.name) if file else (typed, "the holdings")
    with right, state.section():
        _portfolio(state.portfolio(text, name))
    st.caption(NOT_ADVICE)


def _portfolio(found: PortfolioOutlook) -> None:
    rows = pd.DataFrame(risks(found)).assign(target_date=pd.to_datetime(found.outlook.targets))
    if any(made.simulated for made in found.outlook.forecasts):
        st.error(SIMULATED, icon=":material/science:")
    st.markdown(f"## {portfolio_title(found)}")
    for made in found.outlook.forecasts:
        current = state.current(made.symbol, made.frequency.name)
        if current and current["state"] not in ("fresh", "due"):
            banner.badge(f"{made.symbol}: {current['sentence'].rstrip('.')}", current["state"])
    first, last, currency = rows.iloc[0], rows.iloc[-1], found.held.currency
    figures = {
        "Loss exceeded in 5% of sessions": first["var_95"],
        f"… over {len(rows)} sessions": last["var_95"],
        "Mean loss beyond that": last["es_95"],
    }
    for column, (label, value) in zip(st.columns(3), figures.items(), strict=True):
        column.metric(label, f"{value:,.0f} {currency}")
    figure = gains_figure(rows, currency, state.palette())
    state.picture(figure, key="gains", alt="The distribution of the portfolio's gain by session")
    st.markdown("### What each holding adds to it")
    state.table(holdings_frame(found), "Holdings and their part of the expected shortfall")
    st.caption(f"Over {len(rows)} sessions, from {found.outlook.sessions:,} past sessions. {EXTRAPOLATED}")
