"""The coming results day from Yahoo's calendar, through yfinance.

Yahoo gives the next one, with the moment where that is announced, and otherwise an estimate of its own, which is not
kept: from the symbol's own past days one is predicted as well, and marked so.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa

from tickercast.backends.market_data.yahoo import Client, NoAnswer, quiet_yfinance, time_zones
from tickercast.domain.events import RESULTS, UNKNOWN, session_of
from tickercast.domain.files.event_files import SCHEMA
from tickercast.errors import NoResults, Permanent, RateLimited, SourceUnavailable
from tickercast.ports import ResultsReading

_ADDRESS = "https://query2.finance.yahoo.com/v10/finance/quoteSummary"


class YahooResults:
    """The calendar of Yahoo Finance.

    Args:
        at_once: the most requests under way at a time.
        pause_s: between the starts of two requests.
        sleep: waits.
        now: the clock.
    """

    name = "yahoo"
    is_file = False

    def __init__(
        self,
        *,
        at_once: int = 4,
        pause_s: float = 0.0,
        sleep: Callable[[float], None] = time.sleep,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._at_once, self._pause_s, self._sleep, self._now = at_once, pause_s, sleep, now

    def fetch(self, symbols: Sequence[str], since: date, *, advance: Callable[[int], None]) -> ResultsReading:
        """Ask for the next day of each symbol; see `ports.ResultsSource`. Yahoo gives no past ones."""
        now = self._now()
        with quiet_yfinance(time_zones(symbols)) as yfinance:
            client = _Calendar(yfinance, self._at_once, self._pause_s, self._sleep)
            answers = client.ask_all(symbols, advance)
        silent = [answer for answer in answers.values() if isinstance(answer, NoAnswer)]
        if silent and len(silent) == len(answers):
            kind = RateLimited if client.wire.refused else SourceUnavailable
            raise kind(f"Yahoo's calendar does not answer ({silent[0].reason}). Try again in an hour.")
        rows: list[Mapping[str, Any]] = []
        failures: dict[str, Permanent] = {}
        for symbol, answer in answers.items():
            try:
                rows += _rows(symbol, answer, now)
            except Permanent as error:
                failures[symbol] = error
        return ResultsReading(pa.Table.from_pylist(rows, SCHEMA), failures)


class _Calendar(Client[Mapping[str, Any]]):
    """Asks for the calendar of symbols instead of their bars."""

    def __init__(self, yfinance: Any, at_once: int, pause_s: float, sleep: Callable[[float], None]) -> None:
        super().__init__(yfinance, at_once, pause_s, sleep)
        self._data = yfinance.data.YfData(session=self._session)

    def missing(self, symbol: str, *, is_known: bool) -> Permanent:
        """Say that the calendar is empty."""
        return NoResults(
            f"Yahoo's calendar has no coming results day of {symbol}. Name another source, or leave it out."
        )

    def ask_for(self, symbol: str) -> Mapping[str, Any] | Permanent:
        """The calendar of one symbol."""
        asked = {"modules": "calendarEvents", "formatted": "false", "symbol": symbol}
        answer = self._data.get_raw_json(f"{_ADDRESS}/{symbol}", params=asked)
        found: Mapping[str, Any] = answer["quoteSummary"]["result"][0]["calendarEvents"].get("earnings", {})
        return found if found.get("earningsDate") else self.missing(symbol, is_known=True)


def _rows(symbol: str, answer: Mapping[str, Any] | Permanent | NoAnswer, now: datetime) -> list[Mapping[str, Any]]:
    """The announced day; none where Yahoo has only an estimate, or a past day."""
    if isinstance(answer, NoAnswer):
        raise NoResults(
            f"Yahoo's calendar did not answer for {symbol} ({answer.reason}). Run the command again for it."
        )
    if isinstance(answer, Permanent):
        raise answer
    moments = answer["earningsDate"]
    if len(moments) > 1 or answer.get("isEarningsDateEstimate"):
        return []
    moment = datetime.fromtimestamp(moments[0], UTC)
    is_day_alone = moment.hour == moment.minute == 0
    day, session = (moment.date(), UNKNOWN) if is_day_alone else session_of(symbol, moment)
    if day < now.date():
        return []
    return [
        {
            "symbol": symbol,
            "date": day,
            "session": session,
            "kind": RESULTS,
            "source": YahooResults.name,
            "known_at": now,
        }
    ]
