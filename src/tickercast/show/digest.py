"""The digest as a letter: plain text that reads in any typeface, a page, and a picture."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tickercast.domain.alerts import Alert, Anomaly
from tickercast.domain.frequency import DAILY
from tickercast.domain.text import price
from tickercast.jobs.operations.digest import Digest
from tickercast.plain import without_mentions
from tickercast.ports import Letter
from tickercast.reading.outcomes import Outcome
from tickercast.show.overview_page import cells
from tickercast.show.sentences import NOT_ADVICE, SIMULATED, interval, symbols
from tickercast.show.trading import trading_lines

MOST_ROWS = 25
"""Symbols that a digest lists; the most notable ones where there are more."""

PICTURED = 4
"""Symbols whose forecasts are drawn."""


def letter(found: Digest, picture: bytes = b"") -> Letter:
    """Write the digest.

    Args:
        found: the content of the digest.
        picture: the forecasts of some symbols, as PNG; empty if there is none.
    """
    values = _values(found)
    return Letter(_title(found), "\n".join(_lines(values)), _page(values), picture)


def notable(found: Digest) -> list[str]:
    """The symbols, the most notable first: unexpected closes, misses, flags, then the largest moves."""
    unexpected = {each.symbol for each in found.anomalies}
    missed = {each.symbol for each in found.outcomes if each.step == 1 and not each.inside_80}
    flagged = _calibration(found)
    stale = {row.symbol for row in found.rows if row.state in ("stale", "expired")}
    ranks = (unexpected, missed, {*flagged, *stale})
    return [
        row.symbol
        for row in sorted(
            found.rows,
            key=lambda row: (*(row.symbol not in each for each in ranks), -abs(row.change or 0.0), row.symbol),
        )
    ]


def _title(found: Digest) -> str:
    yesterday = [each for each in found.outcomes if each.step == 1]
    inside = sum(each.inside_80 for each in yesterday)
    hits = f", {inside} of {len(yesterday)} closes inside 80%" if yesterday else ""
    simulated = " (SIMULATED)" if any(row.simulated for row in found.rows) else ""
    return f"tickercast {found.day}: {symbols(len(found.rows))}{hits}{simulated}"


def _values(found: Digest) -> dict[str, Any]:
    """The values of text and page, as sentences and cells."""
    shown = set(notable(found)[:MOST_ROWS])
    rows = [row for row in found.rows if row.symbol in shown]
    lasting = sorted((*found.news.new, *found.news.changed), key=lambda alert: found.open.index(alert))
    news = [*map(_said, lasting), *(f"over: {alert.title}." for alert in found.news.over)]
    kept = [alert.title for alert in found.open if alert not in lasting and alert.kind != "champion"]
    left_out = len(found.rows) - len(rows)
    return {
        "title": f"Close of {found.day}, {symbols(len(found.rows))}",
        "simulated": SIMULATED if any(row.simulated for row in found.rows) else "",
        "hits": _hits(found.outcomes, 1) or "None of them has a close to compare with yet.",
        "ended": _hits(found.outcomes, DAILY.horizon),
        "misses": [_miss(each) for each in found.outcomes if each.step == 1 and not each.inside_80][:MOST_ROWS],
        "anomalies": [_anomaly(each) for each in found.anomalies][:MOST_ROWS],
        "news": news[:MOST_ROWS],
        "more_news": max(len(news) - MOST_ROWS, 0),
        "kept": kept[:MOST_ROWS],
        "rows": cells(rows, _calibration(found), found.day),
        "left_out": f"{symbols(left_out)} more: tickercast overview lists all." if left_out else "",
        "paper": trading_lines(found.trading) if found.trading else [],
        "advice": NOT_ADVICE,
    }


def _lines(values: Mapping[str, Any]) -> Iterator[str]:
    """The digest in lines, none of which needs a typeface of even width."""
    yield f"{values['title']}."
    if values["simulated"]:
        yield values["simulated"]
    yield from ("", "The previous session's forecasts", values["hits"], *(f"- {line}" for line in values["misses"]))
    if values["ended"]:
        yield values["ended"]
    if values["anomalies"]:
        yield from ("", "Hardly expected", *(f"- {line}" for line in values["anomalies"]))
    yield from ("", "What changed", *(f"- {line}" for line in values["news"] or ["nothing"]))
    if values["more_news"]:
        yield f"… and {values['more_news']} more: tickercast alerts lists what is open."
    if values["kept"]:
        yield from ("", "Still open", *(f"- {line}" for line in values["kept"]))
    if values["paper"]:
        yield from ("", "On paper", *(f"- {line}" for line in values["paper"]))
    yield from ("", f"The next {DAILY.horizon} sessions")
    for row in values["rows"]:
        rank = f", wider than {row.rank} of its year" if row.spark else ""
        held = f", earlier ones held {row.held} closes" if row.n else ""
        notes = f" ({'; '.join(filter(None, [row.flag, *row.notes]))})" if row.notes else ""
        where = f"80% in {row.interval} ({row.ends}){rank}"
        yield f"- {row.symbol} {row.close} ({row.day}): {where}, higher {row.higher}{held}{notes}"
    if values["left_out"]:
        yield values["left_out"]
    yield from ("", values["advice"])


def _page(values: Mapping[str, Any]) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "pages"),
        autoescape=True,
        finalize=lambda value: without_mentions(value) if type(value) is str else value,  # a mark-up is no plain text
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("digest.html").render(values)


def _hits(found: Sequence[Outcome], step: int) -> str:
    """A sentence on the closes forecast some sessions before: how many were inside; empty if there are none."""
    known = [each for each in found if each.step == step]
    if not known:
        return ""
    asked = "forecast the session before" if step == 1 else f"forecast {step} sessions before"
    of = f"of the {len(known)} closes" if len(known) > 1 else "of the 1 close"
    inside = (sum(each.inside_80 for each in known), sum(each.inside_95 for each in known))
    return f"{inside[0]} {of} {asked} were inside the 80% interval, {inside[1]} inside the 95% interval."


def _miss(each: Outcome) -> str:
    low, high = each.interval_80
    side = "below" if each.close < low else "above"
    beyond = "" if each.inside_95 else ", and outside the 95% interval too"
    move = f"{each.symbol} closed at {price(each.close, each.last_close)} ({each.close / each.last_close - 1:+.1%})"
    return f"{move}, {side} its 80% interval, {interval(low, high, each.last_close)}{beyond}"


def _anomaly(each: Anomaly) -> str:
    beside = "" if each.market_sigmas is None else f", {each.own_sigmas:+.1f} of them without the market's"
    expected, close = interval(each.low, each.high, each.last_close), price(each.close, each.last_close)
    return (
        f"{each.symbol} {each.close / each.last_close - 1:+.1%} to {close}, outside its 95% interval, {expected}: "
        f"{each.sigmas:+.1f} standard deviations{beside}"
    )


def _said(alert: Alert) -> str:
    return f"{alert.severity}: {alert.title}. {alert.text}"


def _calibration(found: Digest) -> dict[str, str]:
    """`too narrow` or `too wide` by symbol, of those that are flagged."""
    flagged = [alert for alert in found.open if alert.kind == "calibration"]
    return {alert.key.partition(":")[2]: alert.title.rpartition(" are ")[2] for alert in flagged}
