"""Use cases of the API: tokens and usage, and what it reads and forecasts that the command line does not."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tickercast.app.requests import Requests
from tickercast.domain import objects
from tickercast.domain.calendar import parse_day
from tickercast.domain.forecast import Forecast, Origin
from tickercast.domain.frequency import DAILY, Frequency, frequency_of
from tickercast.domain.symbols import Symbols, parse_symbol, parse_symbols
from tickercast.domain.tokens import Scope, Token, TokenList, month_of, new_token
from tickercast.errors import ObjectNotFound
from tickercast.jobs.access import quota
from tickercast.jobs.access.gate import Gate
from tickercast.jobs.access.tokens import add_token, read_tokens, revoke_token
from tickercast.jobs.access.usage import Usage
from tickercast.jobs.requests.send_file import Sent, send_file
from tickercast.jobs.requests.upload import fetch_file
from tickercast.models.catalogue import CHAMPION
from tickercast.reading import ledger, views
from tickercast.reading import overview as overviews
from tickercast.reading.forecasts import LEDGER_COLUMNS, stored_forecasts
from tickercast.reading.ledger import Entry
from tickercast.reading.queries import ask


@dataclass(frozen=True)
class StoredForecast:
    """A forecast that is stored, with the date that was asked for.

    Attributes:
        made: the forecast.
        as_of: the date in the name of its file.
    """

    made: Forecast
    as_of: date


class Access(Requests):
    """Tokens, usage, and single questions about one symbol."""

    # ------------------------------------------------------------ tokens

    def create_token(
        self,
        owner: str,
        scopes: Sequence[Scope],
        *,
        per_month: int | None = None,
        expires_at: datetime | None = None,
    ) -> tuple[Token, str]:
        """Make a token of the API, and its text, which is stored nowhere.

        Raises:
            UsageError: a word is not valid, or the owner has a token.
            StoreUnavailable: try again.
        """
        token, text = new_token(owner, scopes, now=self.now(), per_month=per_month, expires_at=expires_at)
        add_token(token, self.models.store)
        return token, text

    def tokens(self) -> TokenList:
        """All tokens, without their texts."""
        return read_tokens(self.models.store)

    def revoke_token(self, name: str) -> Token:
        """Revoke the valid token of an id or owner.

        Raises:
            UsageError: no valid token has that id or owner.
            StoreUnavailable: try again.
        """
        return revoke_token(name, self.models.store, now=self.now())

    def gate(self, *, needs_tokens: bool) -> Gate:
        """The gate that admits calls of the API; see `jobs.access.gate`."""
        return Gate(self.models.store, needs_tokens=needs_tokens, now=self.now, clock=time.monotonic)

    def usage_log(self) -> Usage:
        """The counter of the API's calls; see `jobs.access.usage`."""
        return Usage(self.now)

    def leased_calls(self, token: Token) -> int:
        """The calls of this month that instances of the API have taken from a token's quota."""
        return quota.leased_calls(token, month_of(self.now()), self.models.store)

    def usage_of(self, token: str) -> pd.DataFrame:
        """The calls of a token's id since the beginning of last month: columns month, route, status, calls."""
        return ask(self.tables, "usage", token=token, since=self._last_month())

    def usage_by_owner(self) -> pd.DataFrame:
        """The calls of all tokens since the beginning of last month: columns token_id, owner, calls, last_at."""
        return ask(self.tables, "usage_by_owner", since=self._last_month())

    def _last_month(self) -> date:
        first = self.now().date().replace(day=1)
        return date(first.year - (first.month == 1), (first.month - 2) % 12 + 1, 1)

    def forecast_symbols(self, frequency: Frequency | str = DAILY) -> list[str]:
        """The symbols that have been forecast, by name.

        Raises:
            WarehouseUnavailable: try again.
        """
        frequency = frequency_of(frequency)
        return views.symbols(self.readable, frequency.name)

    def no_days(self, missing: Sequence[str]) -> str:
        """The remedy for symbols without a forecast of days, in words.

        Raises:
            WarehouseUnavailable: try again.
        """
        return views.no_days(missing, self.readable)

    # ------------------------------------------------------------ one symbol

    def revision(self) -> str:
        """A text that changes with every file that is handled; what views answer stays the same in between."""
        return self.tables.revision("ingestions")

    def revisions(self) -> dict[str, str]:
        """A text for each symbol that changes with every file that holds it; until then its views answer the same."""
        return self.tables.revisions("ingestions", by="symbol")

    def stored_forecast(
        self,
        symbol: str,
        *,
        model: str = "",
        cutoff: date | str | None = None,
        frequency: Frequency | str = DAILY,
    ) -> StoredForecast:
        """Read the current forecast of a symbol, or that from a cutoff.

        Args:
            symbol: the symbol, as Yahoo spells it.
            model: the model whose forecast is read; the champion if it is empty or `champion`.
            cutoff: the forecast origin; the newest by default. Of hourly bars a moment (UTC without a time zone), or a
                day, whose newest origin is read.
            frequency: the frequency of the bars.

        Raises:
            UsageError: the symbol or frequency is none.
            ObjectNotFound: there is no such forecast.
            WarehouseUnavailable: try again.
        """
        name, frequency = parse_symbol(symbol), frequency_of(frequency)
        wanted = {"symbol": name, "status": "forecast", "frequency": frequency.name}
        rows = self.tables.read("ingestions", wanted, LEDGER_COLUMNS)
        rows = rows[rows["simulated"] == rows["simulated"].all()] if len(rows) else rows
        if isinstance(cutoff, str) and len(cutoff.strip()) > len("2023-07-22"):
            cutoff = frequency.parse(cutoff)
        elif isinstance(cutoff, str) or (cutoff is not None and frequency.is_daily):
            cutoff = parse_day(cutoff)
        if cutoff is not None:
            moment = pd.Timestamp(cutoff)
            if isinstance(cutoff, datetime):
                moment = moment.tz_convert("UTC") if cutoff.tzinfo else moment.tz_localize("UTC")
            rows = rows[rows["cutoff_at" if moment.tz else "cutoff"] == moment]
        key = frequency.key("cutoff")
        rows = rows[rows[key] == rows[key].max()]
        newest = rows.assign(later=rows["origin"] != Origin.BACKFILL).sort_values(["later", "written_at"]).tail(1)
        found = stored_forecasts(newest, self.tables, model="" if model == CHAMPION else model)
        if name not in found:
            at = f" from {cutoff}" if cutoff else ""
            models = self._models_of(newest) if len(newest) else []
            if models:
                raise ObjectNotFound(
                    f"{name} has no forecast{at} by {model or CHAMPION} at frequency {frequency}: one by "
                    f"{' or '.join(models)} was needed. Name one of these."
                )
            cure = "Request it." if frequency.is_daily else "The hourly run, or a file of its hours, makes one."
            raise ObjectNotFound(f"{name} has no forecast{at} at frequency {frequency}: one was needed. {cure}")
        made = found[name]
        return StoredForecast(made, objects.parse(made.object).as_of)

    def _models_of(self, entry: pd.DataFrame) -> list[str]:
        """The models that have forecast a symbol from a cutoff: those of its row of the ledger."""
        key = frequency_of(str(entry["frequency"].iloc[0])).key("cutoff")
        where = {"symbol": entry["symbol"].iloc[0], "frequency": entry["frequency"].iloc[0]}
        where |= {"cutoff": entry["cutoff"].iloc[0].date()}
        rows = self.tables.read("forecast_history", where, ["model_name", key])
        return sorted(set(rows.loc[rows[key] == entry[key].iloc[0], "model_name"]))

    def overview(self, symbols: Symbols = (), as_of: date | str | None = None) -> list[overviews.Row]:
        """One row a symbol: what its current forecast says, and how far that can be trusted.

        Args:
            symbols: the symbols, as Yahoo spells them; by default all with a forecast of the 100 days up to `as_of`.
            as_of: the last cutoff that counts; the newest of all by default. The record is that of today all the same.

        Raises:
            UsageError: a symbol or the date is not valid.
            WarehouseUnavailable: try again.
        """
        wanted = parse_symbols(symbols)
        day = parse_day(as_of) if as_of else None
        return overviews.overview(self.tables, now=self.now(), symbols=wanted, as_of=day)

    def left_out_of_overview(self, rows: Sequence[overviews.Row]) -> list[str]:
        """The symbols that the overview of all has not, since their forecasts are too old, by name.

        Args:
            rows: the overview of all symbols.

        Raises:
            WarehouseUnavailable: try again.
        """
        return overviews.left_out(rows, views.freshness(self.tables))

    def send(self, data: bytes, symbol: str, as_of: date | str | None = None) -> Sent:
        """Check the bars of one symbol and send them, so that an event forecasts them; see `upload`.

        Args:
            data: a file of prices; where it is empty, the bars come from the market data.
            symbol: the symbol of the bars.
            as_of: forecast from the last session on or before this date; today by default.

        Raises:
            Permanent: the bars cannot be forecast, and nothing was sent.
            Transient: an engine does not answer.
        """
        from tickercast.jobs.serving.forecast_unstored import check_file

        day, name = self._day(as_of), parse_symbol(symbol)
        self.make_ready()
        data = data or self._fetched(name, day)
        check_file(data, name, day, served=self._champion_cache(DAILY), now=self.now(), largest=self._largest_file)
        return send_file(f"{name}.csv", data, day, symbol=name, store=self.store)

    def entries_of(self, name: str, generation: str) -> list[Entry]:
        """The status of one write: an entry a symbol, none while its event is under way.

        Raises:
            ObjectNotFound: no such write was made.
            StoreUnavailable, WarehouseUnavailable: try again.
        """
        found = ledger.entries(self.tables.read("ingestions", {"object": name, "generation": generation}))
        if not found:
            self.silent_store.written_at(name, generation=generation)
        return found

    def newest_ingestion(self) -> datetime | None:
        """The time of arrival of the newest file in the ledger; None where there is none."""
        [newest] = ask(self.tables, "ledger_latest")["received_at"]
        return None if pd.isna(newest) else newest.to_pydatetime()

    def champion(self) -> tuple[str, str]:
        """The name and version of the champion that this process forecasts with.

        Raises:
            ModelUnavailable, BundleError, StoreUnavailable: there is none that can be loaded.
        """
        model = self._champion_cache(DAILY)()[0].model
        return model.name, model.version

    def forecast_closes(self, closes: Sequence[NDArray[np.float64]], steps: int) -> NDArray[np.float64]:
        """Forecast series of closes by EWMA-t, the best of the models that need nothing else; nothing is stored.

        Args:
            closes: one or more series, `(n,)` each, oldest first.
            steps: the number of steps to forecast.

        Returns:
            `(series, steps, len(QUANTILES))`: quantiles of the log-return from the last close.

        Raises:
            TooFewSessions: a series is shorter than the model needs.
        """
        from tickercast.jobs.serving.forecast_unstored import forecast_closes

        return forecast_closes(closes, self.load_model("ewma-t"))[:, :steps]

    def forecast_unstored(self, data: bytes, symbol: str, as_of: date | str | None = None) -> Forecast:
        """Forecast a file of one symbol at once, with the champion, and store nothing.

        Args:
            data: the file of prices; where it is empty, the bars come from the market data.
            symbol: the symbol of the bars in the file.
            as_of: forecast from the last session on or before this date; today by default.

        Raises:
            Permanent: the bars cannot be forecast.
            Transient: an engine does not answer.
        """
        from tickercast.jobs.serving.forecast_unstored import forecast_file

        day, name = self._day(as_of), parse_symbol(symbol)
        return forecast_file(
            data or self._fetched(name, day),
            name,
            day,
            served=self._champion_cache(DAILY),
            warehouse=self.warehouse,
            now=self.now(),
            largest=self._largest_file,
        )

    def _day(self, as_of: date | str | None) -> date:
        return parse_day(as_of) if as_of else self.now().date()

    def _fetched(self, symbol: str, as_of: date) -> bytes:
        return fetch_file(symbol, as_of, source=self.market_data(), now=self.now())
