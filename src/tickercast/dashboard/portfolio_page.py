"""The portfolio page: what holdings that move together can gain and lose."""

import pandas as pd
import streamlit as st

from tickercast.dashboard import banner, state
from tickercast.dashboard.figures import gains_figure, record_figure
from tickercast.domain.forecast import Forecast
from tickercast.plain import first_of, markdown
from tickercast.reading.holdings import PortfolioOutlook
from tickercast.reading.overview import newest_session
from tickercast.reading.portfolio_record import PortfolioRecord
from tickercast.show.answers import (
    COUNTED,
    EXTRAPOLATED,
    holdings_frame,
    portfolio_notes,
    portfolio_title,
    record_frame,
    record_line,
    risks,
)
from tickercast.show.sentences import NOT_ADVICE, SIMULATED


def show() -> None:
    """Draw the page."""
    if not state.frequencies():
        state.first_steps()
        return
    rows = [row for row in state.overview() if not row.symbol.startswith("^")]
    if not rows:
        st.info("A portfolio needs forecasts of days, and none is stored. Type this in a terminal, then press Refresh:")
        st.code("python src/main.py MSFT AAPL 2023-07-22", language=None)
        return
    st.markdown(
        "Holdings as lines of `symbol,shares`, the titles in the first; negative shares are a short position. Each "
        "symbol needs a stored forecast. They stay in this page, and are stored nowhere."
    )
    newest = newest_session(rows)
    known = sorted(row.symbol for row in rows if row.cutoff == newest)[:3]
    usual = "\n".join(["symbol,shares", *(f"{symbol},100" for symbol in known)])
    left, right = st.columns([1, 2], gap="large")
    with left:
        file = st.file_uploader("A file of holdings", type="csv", max_upload_size=1)
        typed = st.text_area("Holdings", usual, height=220, key="holdings", disabled=file is not None)
    text, name = (file.getvalue().decode("utf-8", "replace"), file.name) if file else (typed, "the holdings")
    with right, state.section():
        _portfolio(state.portfolio(text, name))
        _record(state.portfolio_record(text, name))
    st.caption(NOT_ADVICE)


def _portfolio(found: PortfolioOutlook) -> None:
    rows = pd.DataFrame(risks(found)).assign(target_date=pd.to_datetime(found.outlook.dates))
    if any(made.simulated for made in found.outlook.forecasts):
        st.error(SIMULATED, icon=":material/science:")
    st.markdown(f"## {markdown(portfolio_title(found))}")
    banner.currency([state.freshness(made).state for made in found.outlook.forecasts])
    if newer := [made.symbol for made in found.outlook.forecasts if _has_newer(made)]:
        st.caption(
            markdown(f"This is the newest cutoff that all share. Newer ones are stored for {first_of(newer, 12)}.")
        )
    first, last, currency = rows.iloc[0], rows.iloc[-1], found.held.currency
    figures = {
        "Loss exceeded in 5% of sessions": first["var_95"],
        f"… over {len(rows)} sessions": last["var_95"],
        "Mean loss beyond that": last["es_95"],
    }
    with st.container(horizontal=True, key="scorecards"):
        for label, value in figures.items():
            st.metric(label, f"{value:,.0f} {currency}", border=True, width="content")
    figure = gains_figure(rows, currency, state.palette())
    state.picture(figure, key="gains", alt="The distribution of the portfolio's gain by session")
    st.markdown("### What each holding adds to it")
    state.table(holdings_frame(found), "Holdings and their part of the expected shortfall")
    st.caption(f"Over {len(rows)} sessions, from {found.outlook.sessions:,} past sessions. {EXTRAPOLATED}")
    state.notes(portfolio_notes(found))


def _has_newer(made: Forecast) -> bool:
    newest = state.current(made.symbol, made.frequency.name)
    return newest is not None and bool(newest["cutoff"].date() > made.cutoff)


def _record(made: PortfolioRecord) -> None:
    st.markdown("### Its record")
    rows = record_frame(made)
    if rows.empty:
        st.caption("None is stored. `tickercast portfolio FILE --record` counts it, and so does the daily flow.")
        return
    st.markdown(f"Since {made.rows['cutoff'].min():%Y-%m-%d}: {record_line(made)}.")
    state.picture(record_figure(made.rows, state.palette()), key="record", alt=record_line(made))
    state.table(rows, "How often the portfolio lost more than was said")
    st.caption(COUNTED)
