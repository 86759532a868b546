"""The address of a page: what is shown is read from it, and every choice is written to it.

Streamlit's own binding of a widget replaces the entry in the browser's history, so going back would leave the
dashboard; and it drops a value that is not among the options, which would show another symbol instead. Here a choice
adds an entry to the history, and a value that is not known is said.
"""

import difflib
from collections.abc import Sequence
from typing import Any

import streamlit as st

from tickercast.plain import markdown

_NONE = "none"
_NOTED = "asked in vain"
_SUGGESTED = 5
_ALIKE = 0.4
_LISTED = 8


def bound(name: str, options: Sequence[str], usual: str, *, drops: Sequence[str] = ()) -> dict[str, Any]:
    """Bind a widget with one choice to the address: `key`, `on_change` and `args` for it.

    Args:
        name: the name of the parameter.
        options: the choices; an address may spell them in any case.
        usual: the choice where the address says nothing.
        drops: parameters that a new choice removes.
    """
    asked = st.query_params.get(name)
    found = usual if asked is None else among(options, asked)
    if found is None:
        unknown(name, str(asked), options, f"{usual} is shown")
        found = usual
    st.session_state[name] = found
    return {"key": name, "on_change": _chosen, "args": (name, usual, tuple(drops))}


def bound_several(name: str, options: Sequence[str], usual: Sequence[str]) -> dict[str, Any]:
    """Bind a widget with several choices to the address, where commas part them; likewise."""
    asked = st.query_params.get(name)
    parts = list(usual) if asked is None else [part for part in asked.split(",") if part not in ("", _NONE)]
    found = {part: among(options, part) for part in parts}
    for part in (part for part, option in found.items() if option is None):
        unknown(name, part, options, "it is left out")
    st.session_state[name] = [option for option in found.values() if option is not None]
    return {"key": name, "on_change": _several_chosen, "args": (name, tuple(usual))}


def bound_switch(name: str, *, usual: bool) -> dict[str, Any]:
    """Bind a switch to the address, as `on` or `off`; likewise."""
    words = ("off", "on")
    asked = st.query_params.get(name)
    found = words[usual] if asked is None else among(words, asked)
    if found is None:
        unknown(name, str(asked), words, f"it is {words[usual]}")
        found = words[usual]
    st.session_state[name] = found == "on"
    return {"key": name, "on_change": _switched, "args": (name, usual)}


def bound_symbol(known: Sequence[str]) -> dict[str, Any]:
    """Bind a list of symbols to the address: the first where it names none, and nothing where it names another."""
    asked = st.query_params.get("symbol")
    st.session_state["symbol"] = known[0] if asked is None else among(known, asked)
    return {"key": "symbol", "on_change": _chosen, "args": ("symbol", None, ("cutoff",))}


def among(options: Sequence[str], asked: str) -> str | None:
    """The option that an address means, whatever its case; None if there is none.

    >>> among(["MSFT", "BRK-B"], " brk-b"), among(["MSFT"], "MSF")
    ('BRK-B', None)
    """
    return {option.casefold(): option for option in options}.get(asked.strip().casefold())


def alike(options: Sequence[str], asked: str) -> list[str]:
    """The options that are spelt most like a text, the nearest first.

    >>> alike(["AAPL", "MSFT", "MSTR"], "msft1")
    ['MSFT', 'MSTR']
    """
    folded = {option.casefold(): option for option in options}
    return [folded[name] for name in difflib.get_close_matches(asked.casefold(), list(folded), _SUGGESTED, _ALIKE)]


def unknown(name: str, asked: str, options: Sequence[str], instead: str) -> None:
    """Note that the address asks for something that is not there; `say_unknown` says it.

    Args:
        name: the name of the parameter.
        asked: the value in the address.
        options: the values that it could have.
        instead: the consequence, as a clause: it ends the sentence.
    """
    can_be = ", ".join(options)
    if len(options) > _LISTED:
        near = alike(options, asked) or options[:_SUGGESTED]
        can_be = f"one of {len(options):,}, such as {', '.join(near)}"
    said = f"The address asks for {name}={asked[:40]}. It can be {can_be}; {instead}."
    st.session_state.setdefault(_NOTED, []).append(said)


def say_unknown() -> None:
    """Say what the address asked for in vain, since it was said last."""
    for said in dict.fromkeys(st.session_state.pop(_NOTED, [])):
        st.warning(markdown(said), icon=":material/link_off:")


def to_symbol(symbol: str, every: str = "") -> None:
    """Go to the page of a symbol, in one entry of the browser's history.

    Args:
        symbol: the series.
        every: the frequency of its bars; that in which it is known by default.
    """
    left = ("page", "every", "cutoff", "compare")
    kept = {name: value for name, value in st.query_params.items() if name not in left}
    st.query_params.from_dict(kept | {"symbol": symbol} | ({"every": every} if every else {}))


def write(name: str, value: str, usual: str) -> None:
    """Write a choice to the address, unless it is the usual one."""
    if value == usual:
        st.query_params.pop(name, None)
    else:
        st.query_params[name] = value


def _chosen(name: str, usual: str | None, drops: Sequence[str]) -> None:
    kept = {key: value for key, value in st.query_params.items() if key not in (name, *drops)}
    chosen = st.session_state[name]
    st.query_params.from_dict(kept if chosen in (None, usual) else kept | {name: chosen})


def _several_chosen(name: str, usual: Sequence[str]) -> None:
    write(name, ",".join(st.session_state[name]) or _NONE, ",".join(usual) or _NONE)


def _switched(name: str, usual: bool) -> None:
    write(name, "on" if st.session_state[name] else "off", "on" if usual else "off")
