"""Errors, rejections and findings in words for callers of the API: without the server's addresses and commands."""

import re
from collections.abc import Mapping

_TERMINAL = re.compile(
    r"`(?:tickercast|make|aws|gcloud|mlflow|\./|\.venv/)"
    r"|(?<!this )(?<!of )\btickercast [a-z]"
    r"|(?<![\w-])--[a-z]"
    r"|\b(?:TICKERCAST|MLFLOW|PREFECT|GOOGLE|AWS)_[A-Z]"
)
"""Commands, options and settings, which only somebody at a terminal of the server can use."""

_SENTENCE = re.compile(r"(?<=[.!?]) (?=[A-Z`]|tickercast )")
_CLAUSE = re.compile(r"; |, or |, and ")


def for_callers(message: str, addresses: Mapping[str, str]) -> str:
    """A message with another remedy where it has one for the server's terminal, and without the server's addresses.

    >>> for_callers("MSFT was stored so. Run: tickercast forecast MSFT 2023-07-21.", {})
    'MSFT was stored so. Request a forecast.'
    >>> for_callers("file:///srv holds no model. Run `tickercast provision`.", {"file:///srv": "the bucket"})
    'The bucket holds no model. Whoever runs the server has to act.'
    >>> for_callers("No bar is that old. Name a later date, or another source: --source yahoo.", {})
    'No bar is that old. Name a later date.'

    Args:
        message: sentences for somebody who runs the server.
        addresses: the words that stand in place of the server's own addresses.
    """
    kept, cut = _kept(_without(message, addresses))
    if cut:
        kept.append("Request a forecast." if "tickercast forecast " in cut else "Whoever runs the server has to act.")
    said = " ".join(kept)
    return said[:1].upper() + said[1:] if said.startswith(tuple(addresses.values())) else said


def findings_for_callers(findings: str, addresses: Mapping[str, str]) -> str:
    """Findings about bars without the sentences that are for the server's terminal.

    >>> findings_for_callers("companion: ewma-t was late. Name fewer in TICKERCAST_MODELS; gap: no bar of Monday", {})
    'companion: ewma-t was late; gap: no bar of Monday'

    Args:
        findings: as the ledger keeps them.
        addresses: the words that stand in place of the server's own addresses.
    """
    found = (" ".join(_kept(one)[0]).removesuffix(".") for one in _without(findings, addresses).split("; "))
    return "; ".join(one for one in found if one)


def _without(message: str, addresses: Mapping[str, str]) -> str:
    for address, name in addresses.items():
        message = message.replace(address, name)
    return message


def _kept(message: str) -> tuple[list[str], str]:
    """The sentences that callers can use, some up to a clause that they cannot; and those that were left out."""
    kept, cut = [], []
    for sentence in _SENTENCE.split(message):
        terminal = _TERMINAL.search(sentence)
        clauses = list(_CLAUSE.finditer(sentence, 0, terminal.start())) if terminal else []
        if terminal is None:
            kept.append(sentence)
        elif clauses:
            kept.append(f"{sentence[: clauses[-1].start()]}.")
        else:
            cut.append(sentence)
    return kept, " ".join(cut)
