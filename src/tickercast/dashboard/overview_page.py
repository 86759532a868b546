"""The overview: one row a symbol, with what its forecast says, how far that can be trusted, and how fresh it is."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from tickercast import plain
from tickercast.dashboard import address, state
from tickercast.domain.forecast import Role
from tickercast.domain.frequency import DAILY
from tickercast.domain.measures.calibration import NARROW, TOO_EARLY, WIDE, Calibration
from tickercast.domain.text import price
from tickercast.plain import markdown
from tickercast.reading.overview import Row, left_out, newest_session
from tickercast.reading.track_record import Seen
from tickercast.show import sentences
from tickercast.show.overview import left_out_sentence, overview_frame
from tickercast.show.sentences import NOT_ADVICE, SIMULATED

_VERDICTS = ("better", "no edge", "worse", "too early")
_NEEDS = "What needs a look"
_OPENED = "opened"
_ROW, _HEADER, _TALLEST = 35, 38, 700  # pixels
_HELP = {
    "day": "The last close against the one before",
    "80% from": "Four of five closes of the last session should lie between this and the next",
    "from %": "The lower end against the last close",
    "width": "The width of the 80% interval that each week of its year gave, and at the right the forecast's own",
    "wider than": "The share of its year's sessions that gave a narrower interval",
    "higher": "The chance that the close then lies above the last one",
    "held 80%": "The share of closes that came true inside their 80% interval; 80% is right",
    "intervals": "Whether the 80% intervals have held what they state, over three years; see the verdict's page",
    "closes": "How many closes have come true",
    "verdict": "Against the random walk",
    "findings": "What is odd about the bars",
    "missed": "Sessions that have closed since the forecast was made",
    "state": "Fresh: the newest possible; due: a new one is under way; stale: one is missing; expired: all is over",
}


def show() -> None:
    """Draw the page."""
    if not state.frequencies():
        state.first_steps()
        return
    rows = state.overview()
    if rows:
        _overview(rows)
    else:
        st.info("No daily forecast is stored: the overview is of days.", icon=":material/info:")
    _hourly()
    st.caption(NOT_ADVICE)


def _overview(rows: Sequence[Row]) -> None:
    if all(row.simulated for row in rows):
        st.error(SIMULATED, icon=":material/science:")
    intervals: dict[str, Calibration] = {}
    seen: Sequence[Seen] = ()
    with state.section():
        intervals = {each.symbol: each for each in state.calibrations(None, DAILY)}
        seen = state.seen_in_training("", DAILY.name, Role.CHAMPION)
    found = _filtered(rows, {symbol for symbol, each in intervals.items() if each.flagged})
    st.markdown(f"{len(found):,} of {sentences.symbols(len(rows))}. A symbol opens its page, a title sorts.")
    missing = left_out(rows, state.currency())
    if missing:
        st.markdown(markdown(f"{left_out_sentence(missing)} The page Forecast shows them."))
    if not found:
        st.info("No symbol is left: take a filter away.", icon=":material/filter_alt_off:")
        return
    shown = {(row.symbol, row.model_name) for row in found}
    for warning in sentences.had_seen([each for each in seen if (each.symbol, each.model_name) in shown]):
        st.warning(markdown(warning), icon=":material/school:")
    st.dataframe(
        _styled(found, intervals),
        hide_index=True,
        height=min(_HEADER + _ROW * len(found), _TALLEST),
        row_height=_ROW,
        column_config=_columns(),
        key="overview",
        placeholder="–",
        alt="The overview, one row a symbol",
    )
    st.download_button(
        "Download as CSV",
        plain.csv(overview_frame(found, seen)),
        file_name=plain.file_name(f"overview-{newest_session(found)}.csv"),
        mime="text/csv",
        icon=":material/download:",
        on_click="ignore",
    )


def _filtered(rows: Sequence[Row], flagged: Collection[str]) -> list[Row]:
    with st.container(horizontal=True, vertical_alignment="bottom", key="filters"):
        st.session_state["find"] = st.query_params.get("find", "")
        text = st.text_input("Find", key="find", placeholder="MSF, BRK …", width=180, on_change=_to_address)
        verdicts = st.pills(
            "Verdict", _VERDICTS, selection_mode="multi", wrap=True, **address.bound_several("verdict", _VERDICTS, [])
        )
        needs = st.toggle(
            _NEEDS,
            help="A stale or expired forecast, odd bars, intervals that do not hold, or a record that is worse",
            **address.bound_switch("look", usual=False),
        )
    return [
        row
        for row in rows
        if text.strip().upper() in row.symbol
        and (not verdicts or row.verdict in verdicts)
        and (not needs or row.symbol in flagged or _needs_a_look(row))
    ]


def _to_address() -> None:
    address.write("find", st.session_state["find"].strip(), "")


def _needs_a_look(row: Row) -> bool:
    return bool(row.findings) or row.state in ("stale", "expired") or row.verdict == "worse"


def _table(rows: Sequence[Row], intervals: Mapping[str, Calibration]) -> pd.DataFrame:
    """The rows as they are shown, with numbers that can be sorted."""
    held = {symbol: each.calibration for symbol, each in intervals.items()}
    return pd.DataFrame(
        {
            "symbol": [row.symbol for row in rows],
            "state": [row.state for row in rows],
            "last close": [row.last_close for row in rows],
            "day": [row.change for row in rows],
            "80% from": [row.close_lo_80 for row in rows],
            "to": [row.close_hi_80 for row in rows],
            "from %": [row.lo_80 for row in rows],
            "to %": [row.hi_80 for row in rows],
            "width": [list(row.widths) for row in rows],
            "wider than": [row.width_rank for row in rows],
            "higher": [row.chance_higher for row in rows],
            "held 80%": [row.coverage_80 for row in rows],
            "intervals": [held.get(row.symbol, TOO_EARLY) for row in rows],
            "closes": [row.n for row in rows],
            "verdict": [row.verdict for row in rows],
            "findings": [_findings(row) for row in rows],
            "missed": [row.missed for row in rows],
        }
    )


def _findings(row: Row) -> str:
    return "; ".join(filter(None, ("simulated" if row.simulated else "", row.findings))) or "–"


def _styled(rows: Sequence[Row], intervals: Mapping[str, Calibration]) -> Any:
    def form(spec: str) -> Any:
        return lambda value: sentences.number(value, spec)

    prices = dict.fromkeys(("last close", "80% from", "to"), price)
    signed = dict.fromkeys(("day", "from %", "to %"), form("+.1%"))
    shares = dict.fromkeys(("wider than", "higher", "held 80%"), form(".0%"))
    palette = state.palette()
    styles = {"fresh": f"color: {palette.up}"}
    styles |= dict.fromkeys(("stale", "expired", NARROW, WIDE, "worse"), f"color: {palette.down}; font-weight: 600")
    forms = prices | signed | shares | {"day": form("+.2%"), "closes": form(","), "missed": form(",")}
    return (
        _table(rows, intervals)
        .style.format(forms)
        .map(lambda word: styles.get(word, ""), subset=["state", "intervals", "verdict"])
    )


def _columns() -> dict[str, Any]:
    columns: dict[str, Any] = {name: st.column_config.Column(help=said) for name, said in _HELP.items()}
    columns["symbol"] = st.column_config.ButtonColumn(pinned=True, type="tertiary", on_click=_open, key=_OPENED)
    columns["width"] = st.column_config.BarChartColumn(help=_HELP["width"], y_min=0, width=150)
    for name in ("last close", "80% from", "to"):
        columns[name] = st.column_config.NumberColumn(help=_HELP.get(name))
    return columns


def _open() -> None:
    address.to_symbol(st.session_state[_OPENED].label)


def _hourly() -> None:
    """The symbols of other frequencies, which the overview of days does not hold."""
    found = state.currency()
    found = found[found["frequency"] != DAILY.name]
    if found.empty:
        return
    st.markdown("### Hourly forecasts")
    with st.container(horizontal=True):
        for row in found.sort_values("symbol").to_dict("records"):
            st.button(
                row["symbol"],
                help=row["sentence"],
                key=f"hourly-{row['symbol']}",
                on_click=address.to_symbol,
                args=(row["symbol"], row["frequency"]),
            )
