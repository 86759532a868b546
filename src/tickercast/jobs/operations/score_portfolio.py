"""Count how often a portfolio lost more than was said."""

import hashlib
from collections.abc import Callable
from datetime import date, datetime

import pandas as pd

from tickercast.domain.calendar import check_range
from tickercast.ports import Warehouse
from tickercast.reading.holdings import Holdings
from tickercast.reading.portfolio_record import PortfolioRecord, digest_of, portfolio_record, read_past, scores

EARLIEST = date(2000, 1, 1)


def score_portfolio(
    held: Holdings,
    name: str,
    first: date = EARLIEST,
    last: date = date.max,
    *,
    warehouse: Warehouse,
    now: datetime,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> PortfolioRecord:
    """Score the stored forecasts of a portfolio's symbols whose sessions have ended, each period once.

    The holdings are those of today: the record says what the same shares were said to lose, and lost. A period that is
    stored with another date than its step has is scored again, and the new row counts.

    Args:
        held: the portfolio.
        name: the file that it comes from.
        first: the first cutoff wanted.
        last: the last cutoff.
        warehouse: where forecasts, prices and scores are.
        now: the time.
        on_progress: called with the cutoffs done and their total.

    Returns:
        The record of those cutoffs, with what was scored before.

    Raises:
        UsageError: `first` is after `last`.
        TooFewSessions: too little is known of how the symbols move.
        Transient: try again.
    """
    check_range(first, last)
    before = portfolio_record(held, warehouse=warehouse).rows
    done = set(zip(before["cutoff"].dt.date, before["step"].astype(int), before["target_date"].dt.date, strict=True))
    found = read_past(held, first, last, done, warehouse=warehouse)
    finished = 0

    def advance() -> None:
        nonlocal finished
        finished += 1
        on_progress(finished, len(found.cutoffs))

    rows = pd.DataFrame(scores(found, done, advance))
    if rows.empty:
        return portfolio_record(held, first, last, warehouse=warehouse)
    digest = digest_of(held)
    scored = rows.assign(
        portfolio=digest,
        name=name,
        cutoff=pd.to_datetime(rows["cutoff"]),
        target_date=pd.to_datetime(rows["target_date"]),
        scored_at=pd.Timestamp(now),
    )
    periods = hashlib.sha256(rows[["cutoff", "step", "target_date"]].to_csv(index=False).encode()).hexdigest()[:16]
    warehouse.append("portfolio_scores", scored, key=f"portfolio_scores/{digest}/{periods}")
    return portfolio_record(held, first, last, warehouse=warehouse)
