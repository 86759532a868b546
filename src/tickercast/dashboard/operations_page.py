"""The operations page: arrivals, rejections with their reasons, freshness, decisions and drift."""

import pandas as pd
import streamlit as st

from tickercast.dashboard import state
from tickercast.dashboard.charts import drift_figure, health_figure
from tickercast.domain.frequency import DAILY, HOURLY
from tickercast.reading.views import LISTED
from tickercast.show import sentences

_LISTED = 20
_DAYS = 90
_MISSED = "Sessions that have closed, or hours that have ended, since the newest forecast was made"


def show() -> None:
    """Draw the page."""
    health = state.health()
    if health.empty:
        state.first_steps()
        return
    _arrivals(health)
    left, right = st.columns([3, 2], gap="large")
    with left, state.section():
        _rejected()
    with right, state.section():
        _freshness()
    with state.section():
        _decisions()
    with state.section():
        _drift()


def _arrivals(health: pd.DataFrame) -> None:
    st.markdown("## Arrivals")
    newest = health.iloc[-1]
    cards = {
        "Last event (UTC)": f"{newest['last_received_at']:%Y-%m-%d %H:%M}",
        f"Files on {newest['day']:%Y-%m-%d}": f"{newest['files']:,}",
        "Symbols forecast": f"{newest['forecast']:,}",
        "Symbols rejected": f"{newest['rejected']:,}",
        "Median latency": f"{newest['duration_ms_p50']:,.0f} ms",
        "95% latency": f"{newest['duration_ms_p95']:,.0f} ms",
    }
    with st.container(horizontal=True, key="scorecards"):
        for label, value in cards.items():
            st.metric(label, value, border=True, width="content")
    figure = health_figure(health.tail(_DAYS), state.palette())
    state.picture(figure, key="health", alt="Symbols that were forecast, rejected or superseded by day, and latency")


def _rejected() -> None:
    st.markdown("### Rejected files")
    found = state.not_forecast()
    if found.empty:
        st.success("Nothing has been rejected.", icon=":material/check_circle:")
        return
    table = pd.DataFrame(
        {
            "received (UTC)": found["received_at"].dt.strftime("%Y-%m-%d %H:%M"),
            "symbol": found["symbol"].fillna("–"),
            "status": found["status"],
            "object": found["object"],
            "reason": found["reason"].fillna("–"),
        }
    )
    state.table(table.head(_LISTED), "Files that were not forecast", prose=True)
    st.caption(
        f"The newest {min(len(found), _LISTED)} of {'at least ' * (len(found) == LISTED)}{len(found)}. "
        "After the cause is fixed: tickercast replay OBJECT. tickercast ingestions lists all."
    )


def _freshness() -> None:
    st.markdown("### Freshness")
    found = state.currency().sort_values(["missed", "symbol"], ascending=[False, True])
    for name, rows in found.groupby("frequency"):
        st.markdown(f"{state.EVERY[str(name)]}: {sentences.currency(list(rows['state']))}.")
    table = pd.DataFrame(
        {
            "symbol": found["symbol"],
            "state": found["state"],
            "missed": found["missed"],
            "last session": found["cutoff"].dt.strftime("%Y-%m-%d"),
            "received (UTC)": found["received_at"].dt.strftime("%Y-%m-%d %H:%M"),
        }
    )
    st.dataframe(
        table,
        hide_index=True,
        height=min(38 + 35 * len(table), 360),
        column_config={"missed": st.column_config.NumberColumn(help=_MISSED, format="localized")},
        alt="Symbols, the stalest first",
    )


def _decisions() -> None:
    st.markdown("### Model versions and decisions")
    found = state.decisions()
    if found.empty:
        st.info(
            "No decision yet: the daily flow records one whenever it compares a challenger with the champion.",
            icon=":material/info:",
        )
        return
    table = pd.DataFrame(
        {
            "day": found["day"].dt.strftime("%Y-%m-%d"),
            "bars": found["frequency"].fillna(DAILY.name),
            "decision": found["decision"],
            "champion": found["champion_version"],
            "candidate": found["candidate_version"].fillna("–"),
            "loss / champion's": [sentences.number(ratio, ".3f") for ratio in found["pinball_ratio"]],
            "training": found["training"].fillna("–"),
            "reason": found["reason"],
        }
    )
    state.table(table.head(_LISTED), "Decisions, the newest first", prose=True)


def _drift() -> None:
    st.markdown("### Drift")
    found = state.drift()
    if found.empty:
        st.info("No measurement yet: the daily flow checks for drift every day.", icon=":material/info:")
        return
    bars = sorted(set(found["frequency"]))
    if len(bars) > 1:
        daily = DAILY.name
        chosen = st.segmented_control("Bars", [daily, HOURLY.name], default=daily, wrap=True, key="drift-bars")
        found = found[found["frequency"] == (chosen or daily)]
    figure = drift_figure(found[found["day"] >= found["day"].max() - pd.Timedelta(days=_DAYS)], state.palette())
    state.picture(figure, key="drift", alt="Share of inputs, predictions and measures that drifted, by day")
    newest = found[found["day"] == found["day"].max()]
    state.table(_furthest(newest), "The largest drift, by kind")
    _reports(found)


def _furthest(newest: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            f"on {newest['day'].iloc[0]:%Y-%m-%d}": newest["kind"],
            "drifted": [f"{row['n_drifted']} of {row['n']}" for row in newest.to_dict("records")],
            "furthest": newest["furthest"],
            "score": [sentences.number(score, ".4g") for score in newest["furthest_score"]],
            "threshold": [sentences.number(score, ".4g") for score in newest["furthest_threshold"]],
        }
    )


def _reports(found: pd.DataFrame) -> None:
    reports = found.dropna(subset=["report"]).drop_duplicates("report", keep="last").iloc[::-1]
    if reports.empty:
        return
    names = {str(name): f"{day:%Y-%m-%d}" for name, day in zip(reports["report"], reports["day"], strict=True)}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.selectbox("Evidently report of", list(names), format_func=names.__getitem__, key="report", width=220)
        opened = st.button("Show it here", icon=":material/open_in_full:")
        st.download_button(
            "Download it",
            lambda: state.report(name),
            file_name=f"drift-{names[name]}.html",
            mime="text/html",
            icon=":material/download:",
            on_click="ignore",
        )
    if opened:
        st.iframe(state.report(name).decode(), height=900, alt=f"Evidently report of {names[name]}")
