"""The reasons of a file's failures, of which a bounded number is kept: one file must not fill a ledger.

>>> errors = {f"S{number}": Permanent("It has one bar a week.") for number in range(101)}
>>> kept = bounded(errors | {"[/x]": Permanent("'[/x]' is not a symbol.")})
>>> len(kept), str(kept[None])
(100, "3 more reasons: S99: It has one bar a week. S100: It has one bar a week. '[/x]' is not a symbol.")
"""

from collections.abc import Mapping

from tickercast.domain.symbols import is_symbol
from tickercast.domain.text import about
from tickercast.errors import Permanent

MOST = 100
"""The reasons that are kept of a file."""

_NAMED = 3  # beyond those, at least


def bounded(failures: Mapping[str | None, Permanent]) -> dict[str | None, Permanent]:
    """Keep at most `MOST` reasons; that of None stands for all else: names that are no symbols, and what is beyond.

    Args:
        failures: the reason for each name in the file, or for None, which stands for the whole file.
    """
    own = {name: error for name, error in failures.items() if name is not None and is_symbol(name)}
    rest = [str(error) for name, error in failures.items() if name is None or not is_symbol(name)]
    most = MOST - 1 if rest or len(own) > MOST else MOST
    kept: dict[str | None, Permanent] = dict(list(own.items())[:most])
    rest = [about(name, str(error)) for name, error in list(own.items())[most:]] + rest
    if not rest:
        return kept
    if len(rest) == 1:
        return {**kept, None: Permanent(rest[0])}
    named = rest[: max(MOST - len(kept), _NAMED)]
    beyond = f" And {len(rest) - len(named):,} like these." if len(rest) > len(named) else ""
    more = " more" if kept else ""
    return {**kept, None: Permanent(f"{len(rest):,}{more} reasons: {' '.join(named)}{beyond}")}
