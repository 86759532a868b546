"""The track record page: how past forecasts scored."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from tickercast.dashboard import direction_section, state
from tickercast.dashboard.charts import coverage_figure, steps_figure, symbols_figure
from tickercast.domain.forecast import RANDOM_WALK, Role
from tickercast.domain.frequency import Frequency, frequency_of
from tickercast.plain import markdown
from tickercast.show import sentences

_BEST = 8


def show() -> None:
    """Draw the page."""
    if not state.frequencies():
        state.first_steps()
        return
    frequency = frequency_of(state.every())
    _forecasts(frequency)
    if not frequency.is_daily:
        with state.section():
            direction_section.show()


def _forecasts(frequency: Frequency) -> None:
    found = state.skill(frequency.name)
    overall = found[found["symbol"].isna() & found["step"].isna()]
    champion = overall[overall["role"] == Role.CHAMPION]
    if champion.empty:
        st.info(f"{_nothing(frequency)}.", icon=":material/info:")
        return
    shown = champion.sort_values("n").iloc[-1]  # the model with the longest record
    model = str(shown["model_name"])
    _verdict(shown.to_dict())
    warnings = st.container()
    left, right = st.columns(2, gap="large")
    with right:
        _steps(found[found["symbol"].isna() & found["step"].notna()], frequency)
    _leaderboard(overall)
    _symbols(
        found[
            found["symbol"].notna()
            & found["step"].isna()
            & (found["model_name"] == model)
            & (found["role"] == Role.CHAMPION)
        ]
    )
    with left:  # last, since these score every forecast: the rest can be read meanwhile
        _coverage(model, frequency)
    with state.section():
        versions = state.models(frequency.name)
        _versions(versions)
        with warnings:
            seen = state.seen_in_training("", frequency.name, Role.CHAMPION)
            for warning in sentences.had_seen([each for each in seen if each.model_name == model]):
                st.warning(markdown(warning), icon=":material/school:")


def _nothing(frequency: Frequency) -> str:
    """The reason why the champion has no record."""
    if said := sentences.uncounted(state.uncounted(frequency.name)):
        return f"The champion has no record: {said}"
    return (
        "No close after a champion's forecast is stored yet. Send bars of the days that followed: "
        "python src/main.py TICKER DATE, with a later date"
    )


def _verdict(row: Mapping[Any, Any]) -> None:
    st.markdown(f"## {sentences.headline(row)}")
    st.markdown(sentences.verdict(row))
    with st.container(horizontal=True, key="scorecards"):
        cards = (
            ("Loss / random walk's", "pinball_ratio", ".3f", "Pinball loss of five quantiles; below 1 is better"),
            ("Error / last close's", "mae_ratio", ".3f", "Of the median, relative to forecasting no change"),
            ("Coverage of 80%", "coverage_80", ".1%", "80% is right: more is too wide, less too narrow"),
            ("Coverage of 95%", "coverage_95", ".1%", "95% is right"),
            ("Direction right", "direction", ".1%", "How often the close fell on the median's side of the last close"),
        )
        for label, column, form, meaning in cards:
            value = row[column]
            st.metric(label, sentences.number(value, form), help=meaning, border=True, width="content")
    if note := sentences.after_the_fact(row):
        st.caption(note)


def _coverage(model: str, frequency: Frequency) -> None:
    st.markdown("### Coverage over time")
    with state.section():
        monthly = state.coverage(frequency.name)
        figure = coverage_figure(monthly[monthly["role"] == Role.CHAMPION], model, state.palette())
        state.picture(figure, key="coverage", alt="Coverage of the 80% and 95% intervals, by month")
        st.caption(f"By month of the target {frequency.noun}. Dotted: the nominal coverage.")


def _steps(rows: pd.DataFrame, frequency: Frequency) -> None:
    st.markdown("### Loss by step")
    state.picture(
        steps_figure(rows, state.palette(), frequency.noun),
        key="steps",
        alt=f"Loss relative to the random walk's, by {frequency.noun}s ahead",
    )
    st.caption("Below the line is better than the random walk. Bars: 95% intervals.")


def _leaderboard(overall: pd.DataFrame) -> None:
    st.markdown("### Leaderboard")
    state.table(_leaders(overall), "Models, the best first")
    if (overall["role"] == Role.SHADOW).any():
        st.caption("The shadow is the former champion; it forecasts until its successor's probation ends.")


def _leaders(overall: pd.DataFrame) -> pd.DataFrame:
    ordered = overall.sort_values("pinball_ratio")
    rows = [
        {
            "model": row["model_name"],
            "role": row["role"],
            "verdict": row["verdict"],
            "loss / random walk's": sentences.number(row["pinball_ratio"], ".4f"),
            "95% interval": _interval(row),
            "80% coverage": sentences.number(row["coverage_80"], ".1%"),
            "95% coverage": sentences.number(row["coverage_95"], ".1%"),
            "closes": f"{row['n']:,}",
        }
        for row in ordered.to_dict("records")
    ]
    walk = {"model": RANDOM_WALK, "role": Role.BASELINE, "verdict": "the baseline", "loss / random walk's": "1"}
    return pd.DataFrame([*rows, walk]).fillna("–")


def _interval(row: Mapping[Any, Any]) -> str:
    if pd.isna(row["pinball_ratio_lo"]):
        return "–"
    return f"{row['pinball_ratio_lo']:.3f} … {row['pinball_ratio_hi']:.3f}"


def _versions(versions: pd.DataFrame) -> None:
    st.markdown("### Versions")
    table = pd.DataFrame(
        {
            "model": versions["model_name"],
            "version": versions["model_version"],
            "role": versions["role"],
            "cutoffs": [f"{row.first_cutoff:%Y-%m-%d} … {row.last_cutoff:%Y-%m-%d}" for row in versions.itertuples()],
            "symbols": versions["symbols"].map("{:,}".format),
            "forecasts": versions["forecasts"].map("{:,}".format),
            "loss / random walk's": [sentences.number(ratio, ".4f") for ratio in versions["pinball_ratio"]],
            "80% coverage": [sentences.number(share, ".1%") for share in versions["coverage_80"]],
        }
    )
    state.table(table, "Versions of models, the newest first")


def _symbols(rows: pd.DataFrame) -> None:
    st.markdown("### Best and worst symbols")
    st.markdown(sentences.among(list(rows["verdict"])))
    ordered = rows.sort_values(["pinball_ratio", "symbol"], ignore_index=True)
    shown = ordered if len(ordered) <= 2 * _BEST else pd.concat([ordered.head(_BEST), ordered.tail(_BEST)])
    state.picture(symbols_figure(shown, state.palette()), key="symbols", alt=sentences.among(list(shown["verdict"])))
    columns = ["symbol", "verdict", "pinball_ratio", "pinball_ratio_lo", "pinball_ratio_hi", "coverage_80", "n"]
    with st.expander(f"All {len(ordered):,} symbols"):
        st.dataframe(ordered[columns], hide_index=True, alt="Skill by symbol, the best first")
