"""Use cases that make a report: of forecasts that were just made, or of those that are stored."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from pathlib import Path

from tickercast.app.access import Access
from tickercast.app.outlooks import Outlooks
from tickercast.domain.calendar import parse_day
from tickercast.domain.forecast import Forecast, Role
from tickercast.domain.frequency import DAILY, HOURLY
from tickercast.domain.freshness import freshness_of
from tickercast.domain.learning.width import Width
from tickercast.domain.symbols import Symbols, one_or_more, parse_symbols
from tickercast.errors import TooFewSessions, UsageError
from tickercast.reading.calibration import calibrations
from tickercast.reading.forecasts import champion_forecasts
from tickercast.reading.track_record import seen_in_training

LARGEST = 50
"""Symbols in one report or chart at most; a browser gets slow with more."""


class Reports(Access, Outlooks):
    """Reports, as HTML pages that load nothing."""

    def report(
        self,
        made: Sequence[Forecast],
        actual: Mapping[str, Mapping[date | datetime, float]] | None = None,
        *,
        holdings: str | Path = "",
    ) -> str:
        """Write the report of some forecasts.

        Args:
            made: the forecasts, one a symbol; at least one.
            actual: the closes that followed, by symbol and date or, of hours, the moment at which each ends; None: not
                asked for.
            holdings: a file of holdings of these symbols, whose risk is shown too.

        Raises:
            UsageError: no forecast is given, or the file is no portfolio, or holds another symbol.
            TooFewSessions: too little is known of how the holdings move.
            Transient: an engine does not answer.
        """
        from tickercast.show import answers, report

        if not made:
            raise UsageError("No forecast was given, and a report needs one. Request some: app.forecast makes them.")
        symbols = [each.symbol for each in made]
        cutoff = max(each.cutoff for each in made)
        ages = {each.symbol: freshness_of(each, self.now()) for each in made} if actual is None else {}
        current = all(each.role is Role.CHAMPION and each.frequency.is_daily for each in made)
        held = self.portfolio(holdings, cutoff) if holdings else None
        shown = [self.details(each, None if actual is None else actual.get(each.symbol, {})) for each in made]
        beside = report.Beside(
            overview=self.overview(symbols, cutoff) if len(made) > 1 and current else (),
            widths=self._widths(made),
            calibration={row.symbol: row for row in calibrations(self.tables, symbols)} if current else {},
            seen=seen_in_training(symbols, warehouse=self.tables, models=self.models) if current else (),
            portfolio=held,
            ages=[str(age) for age in answers.ages_of(held.outlook, self.now())] if held and actual is None else (),
            freshness={symbol: age.sentence for symbol, age in ages.items() if age.state != "fresh"},
        )
        return report.page(shown, self.store.url, beside)

    def stored_report(
        self, symbols: Symbols = (), as_of: date | str | None = None, *, holdings: str | Path = ""
    ) -> str:
        """Write the report of stored forecasts of days by the champion.

        Args:
            symbols: the symbols of the report; those that are held by default, or all that are still forecast.
            as_of: the last cutoff wanted; the newest by default.
            holdings: a file of holdings, whose risk is shown too.

        Raises:
            UsageError: no forecast of days is stored of a symbol, or there are too many; or as `report`.
            TooFewSessions, Transient: as `report`.
        """
        held = self.portfolio(holdings, as_of) if holdings else None
        named = one_or_more(symbols) or ([each.symbol for each in held.held.holdings] if held else [])
        wanted = parse_symbols(named)
        cutoff = held.outlook.cutoff if held else parse_day(as_of) if as_of else None
        rows = {row.symbol: row.cutoff for row in self.overview(wanted, cutoff)}
        missing = [symbol for symbol in wanted if symbol not in rows]
        if missing or not rows:
            raise UsageError(self._no_days(missing, cutoff))
        if len(rows) > LARGEST:
            raise UsageError(f"{len(rows)} symbols are forecast, and one report takes {LARGEST}. Name fewer symbols.")
        made = champion_forecasts(rows, self.tables)
        return self.report([made[symbol] for symbol in wanted or sorted(made)], holdings=holdings)

    def _no_days(self, missing: Sequence[str], cutoff: date | None) -> str:
        """The remedy where no forecast of days is stored: of some symbols, or of any."""
        known = self.forecast_symbols(HOURLY)
        hours = [symbol for symbol in known if symbol in missing or not (missing or cutoff)]
        others = " ".join(symbol for symbol in missing if symbol not in hours) or "TICKER"
        said = f"No forecast of days{' of ' * bool(missing)}{', '.join(missing)} is stored"
        advice = (
            [] if missing and set(missing) <= set(hours) else [f"Run: tickercast forecast {others} {cutoff or 'DATE'}."]
        )
        if hours:
            advice.append(
                "A report of hours is written when they are forecast: tickercast forecast "
                f"{' '.join(hours)} --every 1h --report FILE."
            )
        return f"{said}{f' up to {cutoff}' if cutoff else ''}, and this report needs one. {' '.join(advice)}"

    def _widths(self, made: Sequence[Forecast]) -> dict[str, Width]:
        """The factors of each daily interval's width, where enough bars are stored."""
        found: dict[str, Width] = {}
        for each in made:
            if each.frequency == DAILY:
                try:
                    found[each.symbol] = self.why(each)
                except TooFewSessions:
                    continue
        return found
