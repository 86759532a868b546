"""Use cases of trading on paper: orders of a strategy, halts, and what accounts hold."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import numpy as np

from tickercast import engines
from tickercast.app.strategies import Named, Strategies, variant_of, variants_of
from tickercast.domain.asset_classes import INDEX, asset_class
from tickercast.domain.frequency import DAILY, FREQUENCIES, Frequency, frequency_of
from tickercast.domain.measures.direction import RetrainBelow
from tickercast.domain.symbols import Symbols, parse_symbols
from tickercast.domain.text import shown
from tickercast.domain.trading.currency import paid_in
from tickercast.domain.trading.limits import covers, parse_limits
from tickercast.domain.trading.plan import BRACKET
from tickercast.domain.trading.strategy import Targets, Variant
from tickercast.domain.trading.universe import Members
from tickercast.errors import UsageError
from tickercast.reading.trading import TradingStatus, read_equity, read_status, read_venues

if TYPE_CHECKING:
    from tickercast.jobs.trading.halt import Adopted
    from tickercast.jobs.trading.trade import Traded
    from tickercast.ports import Broker

_LONGEST = 40  # letters of the name of an account


class Trading(Strategies):
    """Orders on paper: no live order can be configured."""

    def trade(
        self,
        variant: Named,
        broker: str = "paper://",
        symbols: Symbols = (),
        *,
        frequency: Frequency | str = DAILY,
        members: Members | None = None,
        bracket: bool = False,
        dry: bool = False,
        as_of: date | str | None = None,
    ) -> "Traded":
        """Reconcile an account, and order the difference to what a strategy wants; see `jobs.trading.trade`.

        Args:
            variant: the strategy, by its name, as a function or as a `Variant`; see `variant_of`.
            broker: the URL of the broker: `paper://`, or that of a venue where paper is traded.
            symbols: the symbols that the strategy may hold, each with signals; all that have signals by default.
            frequency: the frequency of the bars.
            members: the members of the universe, of whom those without signals are left; all of the symbols by default.
            bracket: whether entries have exits.
            dry: whether to store and send nothing.
            as_of: the session after which it is decided, or the moment (UTC, naive), on a simulated exchange alone;
                the newest by default.

        Raises:
            UsageError: a live venue is named, a symbol has no signals or is quoted in another currency, or the account
                is another strategy's.
            Transient: an engine or the venue does not answer; the next run goes on where this one stopped.
        """
        from tickercast.jobs.trading.trade import trade

        frequency, chosen = frequency_of(frequency), variant_of(variant)
        last = None if as_of is None else frequency.parse(as_of)
        limits, warehouse = parse_limits(self.settings.trade_limits), self.warehouse
        asked = parse_symbols(symbols)
        named = asked or (members.symbols if members else [])
        moment = self.now() if last is None else self._after(last, named, frequency, members)
        opened = self._opened(broker, chosen, frequency, moment)
        if unpayable := _foreign(asked, opened):
            raise _unpayable(unpayable)
        if last is not None and not opened.simulated:
            raise UsageError(
                f"--as-of {as_of} was named with {opened.url}, which trades now: a simulated exchange was needed, such "
                "as paper://. Leave the date out."
            )

        def targets(wanted: Sequence[str], held: Mapping[str, float]) -> Targets:
            return self.strategy_targets(
                [chosen], wanted, moment.date(), frequency=frequency, members=members, held=held, until=moment
            )

        def decide(held: Mapping[str, float]) -> Targets:
            found = targets(named, held)
            unknown = [symbol for symbol in asked if symbol in found.missing and symbol not in held]
            if unknown:
                raise UsageError(
                    f"{', '.join(unknown[:8])} cannot be traded: {found.missing[unknown[0]]}, and one of each was "
                    "needed, or the others would get its money. Nothing was ordered. Correct the name, forecast it, or "
                    "leave it out."
                )
            foreign = _foreign(found.panel.symbols, opened)
            if not foreign:
                return found
            rest = [symbol for symbol in found.panel.symbols if symbol not in foreign]
            if not rest:
                raise _unpayable(foreign)
            return replace(
                targets(rest, held),
                missing={**found.missing, **{symbol: f"it {why}" for symbol, why in foreign.items()}},
            )

        return trade(
            chosen,
            decide,
            broker=opened,
            warehouse=warehouse,
            store=self.silent_store,
            frequency=frequency,
            limits=limits,
            now=self.now,
            bracket=BRACKET if bracket else None,
            dry=dry,
            symbols=named,
        )

    def _after(self, as_of: date, symbols: Sequence[str], frequency: Frequency, members: Members | None) -> datetime:
        """The moment at which all bars of a date, or the last ones up to a moment, had closed; now if some have not."""
        until = as_of.replace(tzinfo=UTC) if isinstance(as_of, datetime) else None
        day = until.date() if until else as_of
        panel = self.strategy_targets([], symbols, day, frequency=frequency, members=members, until=until).panel
        one = np.zeros(1, np.int64)
        closes = [frequency.closes([symbol], one, panel.ends[-1:])[0] for symbol in panel.symbols]
        moment: datetime = max(closes).astype("datetime64[us]").item()
        return min(moment.replace(tzinfo=UTC), self.now())

    def halt_trading(self, *, account: str = "", strategy: str = "") -> dict[str, str]:
        """Halt trading at once, and take open orders back; see `jobs.trading.halt`.

        Args:
            account: empty for every one.
            strategy: empty for every one.

        Returns:
            What became of the open orders, by account.

        Raises:
            UsageError: nothing trades by that name.
            WarehouseUnavailable: try again; trading is not halted.
        """
        from tickercast.jobs.trading.halt import halt_trading

        self._check_traded(account, strategy)
        return halt_trading(
            account=account, strategy=strategy, warehouse=self.warehouse, open_broker=self._broker_of, now=self.now()
        )

    def resume_trading(self, *, account: str = "", strategy: str = "", adopt: bool = False) -> dict[str, "Adopted"]:
        """Resume trading; the stop is measured from now.

        Args:
            account: empty for every one.
            strategy: empty for every one.
            adopt: take the positions of the venues as they are, where they differ from our fills.

        Returns:
            What became of positions that differed from our fills, by account.

        Raises:
            UsageError: nothing trades by that name, or a run trades in an account whose positions are wanted.
            Transient: an engine or a venue does not answer.
        """
        from tickercast.jobs.trading.halt import adopt_positions, resume_trading

        self._check_traded(account, strategy)
        adopted: dict[str, Adopted] = {}
        for venue in read_venues(self.warehouse) if adopt else ():
            if account in ("", venue.account) and covers(strategy, venue.strategy):
                frequency = frequency_of(venue.frequency)
                adopted[venue.account] = adopt_positions(
                    venue,
                    self._broker_of(venue),
                    frequency=frequency,
                    warehouse=self.warehouse,
                    store=self.silent_store,
                    now=self.now,
                )
        resume_trading(account=account, strategy=strategy, warehouse=self.warehouse, now=self.now())
        return adopted

    def _check_traded(self, account: str, strategy: str) -> None:
        """Refuse names that nothing trades by: to halt them would halt nothing."""
        venues = read_venues(self.warehouse)
        accounts = sorted({venue.account for venue in venues})
        if account and account not in accounts:
            raise UsageError(
                f"No account {shown(account, 60)} has traded: {', '.join(accounts[:8]) or 'none has'}. Correct it, or "
                "leave --account out."
            )
        if strategy and not any(covers(strategy, venue.strategy) for venue in venues):
            variants_of([strategy])  # one that may trade later, and no slip of the pen

    def trading_status(self) -> TradingStatus:
        """Accounts, positions, open orders and halts, as they are stored.

        Raises:
            WarehouseUnavailable: try again.
        """
        return read_status(self.readable)

    def trades(self, frequency: Frequency) -> list[tuple[Variant, str]]:
        """The strategies and brokers that the settings name for a flow.

        Raises:
            UsageError: one is none, or two share an account.
        """
        text = self.settings.trade if frequency.is_daily else self.settings.trade_hourly
        return _trades(text, "TICKERCAST_TRADE" if frequency.is_daily else "TICKERCAST_TRADE_HOURLY", frequency)

    def held_on_paper(self, frequency: Frequency | str) -> list[str]:
        """The symbols of which the accounts that a flow trades in hold more than dust, or have an open order.

        Raises:
            UsageError: the settings name a strategy or a broker that is none, or an account twice.
            WarehouseUnavailable: try again.
        """
        frequency = frequency_of(frequency)
        traded = [_account_at(url, made, frequency) for made, url in self.trades(frequency)]
        venues = [each for each in read_venues(self.warehouse) if each.frequency == frequency.name] if traded else []
        own = [each for each in venues if each.account in traded or f"{each.account.partition('://')[0]}://" in traded]
        return sorted({symbol for each in own for symbol in self._at_work(each)})

    def traders(self) -> list[tuple[Variant, "Broker"]]:
        """The strategies that the settings name for any flow, each with its broker, which is not asked anything.

        Raises:
            UsageError: one is none, two share an account, or a broker lacks its keys.
        """
        named = [(made, url, frequency) for frequency in FREQUENCIES.values() for made, url in self.trades(frequency)]
        accounts = [_account_at(url, made, frequency) for made, url, frequency in named]
        if twice := next((account for account in accounts if accounts.count(account) > 1), None):
            raise UsageError(
                f"TICKERCAST_TRADE and TICKERCAST_TRADE_HOURLY both name {twice}: an account of its own was needed for "
                "each strategy. Name another one, as in paper://NAME, or leave one out."
            )
        return [(made, self._opened(url, made, frequency, self.now())) for made, url, frequency in named]

    def _opened(self, url: str, variant: Variant, frequency: Frequency, moment: datetime) -> "Broker":
        bench = engines.Bench(self.tables, moment, frequency, account_name(variant, frequency))
        return engines.broker(url, self.settings, bench)

    def trading_losses(self) -> list[str]:
        """The strategies of the daily flow whose last results on paper were bad by `TICKERCAST_RETRAIN_ON_LOSSES`.

        Raises:
            UsageError: a setting is not valid.
            WarehouseUnavailable: try again.
        """
        named = {made.name for made, _ in self.trades(DAILY)}
        if not self.settings.retrain_on_losses or not named:
            return []
        rule = RetrainBelow.parse(self.settings.retrain_on_losses)
        found = []
        for venue in read_venues(self.warehouse):
            if venue.strategy in named and venue.frequency == DAILY.name:
                equity = read_equity(venue.account, venue.strategy, self.warehouse)["equity"].to_numpy(np.float64)
                gains = np.diff(equity) > 0
                if rule.fires(gains):
                    count = int(gains[-rule.last :].sum())
                    found.append(f"{venue.strategy} gained in {count} of its last {rule.last} results")
        return found


def _foreign(symbols: Sequence[str], broker: "Broker") -> dict[str, str]:
    """The symbols that an account cannot pay for, and why: an index has no currency, and counts in any."""
    if not broker.simulated:  # a venue knows itself what it trades
        return {}
    account = broker.account().currency
    return {
        symbol: f"is quoted in {paid_in(symbol) or 'an unknown currency'}, and the account is in {account}"
        for symbol in symbols
        if asset_class(symbol) != INDEX and paid_in(symbol) != account
    }


def _unpayable(foreign: Mapping[str, str]) -> UsageError:
    symbol = next(iter(foreign))
    return UsageError(
        f"{', '.join(list(foreign)[:8])} cannot be traded: {symbol} {foreign[symbol]}, and one currency was needed. "
        "Nothing was ordered. Leave it out, or trade it in an account of its own, as in "
        f"paper://NAME?currency={paid_in(symbol) or 'USD'}."
    )


def account_name(variant: Variant, frequency: Frequency) -> str:
    """The account of a strategy where a URL names none.

    >>> from tickercast.domain.trading.strategy import parse
    >>> account_name(parse("direction:margin=0.02"), frequency_of("1h"))
    'direction-margin-0-02-1h'
    """
    words = variant.name if frequency.is_daily else f"{variant.name}-{frequency}"
    name = re.sub(r"[^A-Za-z0-9_]+", "-", words).strip("-")
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 9]}-{variant.hash}"


def _trades(text: str, setting: str, frequency: Frequency) -> list[tuple[Variant, str]]:
    found: dict[str, tuple[Variant, str]] = {}
    for word in text.split():
        name, separator, url = word.partition("@")
        if not separator or not name or not url:
            raise UsageError(
                f"{setting} names {shown(word, 60)!r}: STRATEGY@BROKER was needed, such as volatility-target@paper://. "
                "Correct it."
            )
        made = variant_of(name)
        account = _account_at(url, made, frequency)
        if account in found:
            raise UsageError(
                f"{setting} names {account} for {found[account][0].name} and for {made.name}: an account of its own "
                "was needed for each. Name another one, as in paper://NAME, or leave one out."
            )
        found[account] = made, url
    return list(found.values())


def _account_at(url: str, variant: Variant, frequency: Frequency) -> str:
    """The account that a URL leads to: a venue has one, that of its keys."""
    parts = urlsplit(url)
    return (
        f"paper://{parts.netloc or account_name(variant, frequency)}"
        if parts.scheme == "paper"
        else f"{parts.scheme}://"
    )
