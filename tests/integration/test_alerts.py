"""Alerts from a real warehouse through the real Apprise to a receiver on this machine."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.support.alert_receiver import SECRET, Receiver
from tests.support.place import AT, Champion, Place
from tests.support.warehouse_rows import append, ingestion
from typer.testing import CliRunner

from tickercast import engines
from tickercast.app import App
from tickercast.backends.warehouse.duckdb import DuckDBWarehouse
from tickercast.cli import app
from tickercast.config import Settings, resource
from tickercast.domain.alerts import open_alerts
from tickercast.domain.bars import Bars
from tickercast.domain.cards.model_card import CHAMPION
from tickercast.domain.files.price_files import to_csv
from tickercast.domain.forecast import QUANTILES, Role, Served
from tickercast.domain.freshness import GRACE
from tickercast.domain.learning.features import HORIZON
from tickercast.errors import AlertUnavailable, StoreUnavailable, UsageError
from tickercast.jobs.operations import alerts as alert_jobs
from tickercast.jobs.operations.alerts import SENT, EndedRun, SentAlerts, send_alerts
from tickercast.model_store import ModelStore
from tickercast.ports import Notifier, Warehouse

pytest.importorskip("apprise")

NEW_YORK_CLOSED = datetime(2023, 7, 21, 22, tzinfo=UTC)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    yield server
    server.close()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = Place(tmp_path)
    made.store.write(CHAMPION, b'{"name": "tickercast-lstm", "version": "1"}')
    return made


def notifiers_of(*receivers: Receiver) -> Sequence[Notifier]:
    urls = " ".join(receiver.apprise_url for receiver in receivers)
    return engines.notifiers(Settings(alert_urls=urls))


def check(place: Place, *receivers: Receiver, now: datetime = NEW_YORK_CLOSED, **known: Any) -> SentAlerts:
    return send_alerts(
        store=place.store,
        models=ModelStore(place.store, resource("shipped")),
        warehouse=place.warehouse,
        notifiers=notifiers_of(*receivers),
        now=now,
        **known,
    )


def titles(sent: SentAlerts) -> list[str]:
    return [found.title for found in sent.found]


def rejected(place: Place, name: str = "ohlc/2023-07-21/MSFT.csv") -> None:
    place.handle(place.upload(name, b"no,bars\n1,2\n"))


def forecast(place: Place, bars: Bars) -> None:
    place.handle(place.upload(f"ohlc/{bars.cutoff}/{bars.symbol}.csv", to_csv([bars])))


def test_the_first_check_sends_and_the_second_is_quiet(place: Place, receiver: Receiver) -> None:
    rejected(place)
    first = check(place, receiver, watchlist=["MSFT"])
    assert titles(first)[:3] == [
        "Nothing arrived on a trading day",
        f"ohlc/2023-07-21/MSFT.csv#{place.store.generation('ohlc/2023-07-21/MSFT.csv')} was rejected",
        "MSFT has no fresh forecast",
    ]
    second = check(place, receiver, watchlist=["MSFT"])
    assert (second.found, second.news) == (first.found, [])
    (message,) = receiver.messages
    assert (message["type"], message["title"]) == ("failure", "tickercast: 4 new")
    assert "tickercast-lstm 1 is served" in message["message"]


def test_that_something_is_over_is_sent_once(place: Place, receiver: Receiver, make_bars: Any) -> None:
    rejected(place)
    check(place, receiver, watchlist=["MSFT"])
    forecast(place, make_bars("MSFT"))
    for _ in range(3):
        assert titles(check(place, receiver, watchlist=["MSFT"])) == ["tickercast-lstm 1 is served"]
    assert [message["title"] for message in receiver.messages] == ["tickercast: 4 new", "tickercast: 3 over"]
    assert receiver.messages[1]["type"] == "success"


def test_a_receiver_that_fails_loses_nothing_and_the_other_gets_nothing_twice(place: Place, receiver: Receiver) -> None:
    deaf = Receiver()
    deaf.status = 500
    rejected(place)
    try:
        for _ in range(2):
            with pytest.raises(AlertUnavailable, match=r"entry 2 of TICKERCAST_ALERT_URLS\) did not accept"):
                check(place, receiver, deaf)
        assert len(receiver.messages) == 1
        deaf.status = 200
        check(place, receiver, deaf)
        check(place, receiver, deaf)
    finally:
        deaf.close()
    assert [message["message"] for message in deaf.messages] == [receiver.messages[0]["message"]]


def test_a_receiver_that_is_named_later_gets_what_is_open(place: Place, receiver: Receiver) -> None:
    rejected(place)
    check(place, receiver)
    late = Receiver()
    try:
        check(place, receiver, late)
    finally:
        late.close()
    assert [len(each.messages) for each in (receiver, late)] == [1, 1]


def test_a_symbol_that_was_rejected_in_two_files_is_one_alert_which_no_backfill_ends(
    place: Place, receiver: Receiver, make_bars: Any
) -> None:
    rejected(place, "ohlc/2023-07-20/MSFT.csv")
    rejected(place)
    place.handle(place.upload("ohlc/2023-07-19/backfill-00000000.csv", to_csv([make_bars("MSFT")])))
    newest = f"ohlc/2023-07-21/MSFT.csv#{place.store.generation('ohlc/2023-07-21/MSFT.csv')} was rejected"
    assert [title for title in titles(check(place, receiver)) if "rejected" in title] == [newest]


def test_a_file_that_fails_again_is_sent_again_and_one_that_is_deleted_is_over(
    place: Place, receiver: Receiver
) -> None:
    name = "ohlc/2023-07-21/MSFT.csv"
    rejected(place, name)
    check(place, receiver)
    rejected(place, name)
    check(place, receiver)
    place.store.delete(name, generation=place.store.generation(name))
    check(place, receiver)
    assert [message["title"] for message in receiver.messages] == [
        "tickercast: 2 new",
        "tickercast: 1 changed",
        "tickercast: 1 over",
    ]


def test_one_bad_symbol_of_a_batch_is_open_until_that_symbol_is_forecast(
    place: Place, receiver: Receiver, make_bars: Any
) -> None:
    batch = [make_bars("AAPL"), make_bars("MSFT", sessions=50)]
    place.handle(place.upload("ohlc/2023-07-21/batch-0001.csv", to_csv(batch)))
    assert "MSFT has 50 sessions" in check(place).found[0].text
    forecast(place, make_bars("AAPL", seed=2))
    assert len(check(place).found) == 2
    forecast(place, make_bars("MSFT"))
    assert titles(check(place)) == ["tickercast-lstm 1 is served"]


def test_a_simulated_forecast_does_not_end_what_is_open_of_real_bars(
    place: Place, receiver: Receiver, make_bars: Any
) -> None:
    forecast(place, make_bars("MSFT", last=date(2023, 7, 20)))
    place.handle(place.upload("ohlc/2023-07-21/batch-0001.csv", to_csv([make_bars("MSFT", sessions=50)])))
    forecast(place, Bars("MSFT", make_bars("MSFT").columns, simulated=True))
    assert "MSFT has 50 sessions" in check(place).found[0].text


def test_a_symbol_is_stale_once_a_run_had_time_to_forecast_the_session(place: Place, make_bars: Any) -> None:
    forecast(place, make_bars("MSFT"))  # from Friday
    monday = datetime(2023, 7, 24, 20, tzinfo=UTC)
    for moment in (monday - timedelta(minutes=1), monday, monday + GRACE - timedelta(minutes=1)):
        assert titles(check(place, now=moment, watchlist=["MSFT"])) == ["tickercast-lstm 1 is served"]
    missing = check(place, now=monday + GRACE, watchlist=["MSFT", "ETH-USD"])
    assert titles(missing)[1:3] == ["MSFT has no fresh forecast", "ETH-USD has no fresh forecast"]
    after_a_run = check(place, now=monday, watchlist=["MSFT", "ETH-USD"], grace=timedelta(0))
    assert titles(after_a_run) == titles(missing)
    later = check(place, now=monday + timedelta(days=7), watchlist=["MSFT"]).found[1]
    assert (later.severity, later.title) == ("failure", "MSFT has had no forecast for 5 or more sessions")


def test_a_trading_day_on_which_nothing_arrived_is_a_failure_and_one_file_ends_it(place: Place, make_bars: Any) -> None:
    watched = ["MSFT", "AAPL"]
    for symbol in watched:
        forecast(place, make_bars(symbol))  # from Friday
    sunday, monday = datetime(2023, 7, 23, 20, tzinfo=UTC), datetime(2023, 7, 24, 20, tzinfo=UTC)
    assert titles(check(place, now=sunday, watchlist=watched)) == ["tickercast-lstm 1 is served"]
    late = monday + GRACE
    silent = check(place, now=late, watchlist=watched).found[0]
    assert (silent.severity, silent.title) == ("failure", "Nothing arrived on a trading day")
    assert silent.text == "None of 2 symbols of the watchlist has a forecast from its newest session, 2023-07-24."
    weekend = check(place, now=sunday, watchlist=["ETH-USD"]).found[0]
    assert weekend.text == "The symbol of the watchlist has no forecast from its newest session, 2023-07-22."
    with_a_coin = check(place, now=late + timedelta(days=1), watchlist=[*watched, "ETH-USD"]).found[0]
    assert with_a_coin.text.endswith("from its newest session: 2023-07-24 for 1 of them, 2023-07-25 for 2 of them.")
    place.now = monday
    place.handle(place.upload("ohlc/2023-07-24/MSFT.csv", to_csv([make_bars("MSFT", last=monday.date())])))
    assert titles(check(place, now=late, watchlist=watched))[0] == "AAPL has no fresh forecast"


def test_a_failed_flow_stays_open_until_one_is_known_to_have_gone_well(place: Place, receiver: Receiver) -> None:
    assert "flow" not in check(place).checked, "no run has ended yet"
    failed = EndedRun(NEW_YORK_CLOSED.date(), "train: the disk is full")
    check(place, receiver, ended=failed)
    by_hand = check(place, receiver, now=NEW_YORK_CLOSED + timedelta(days=1)).found[0]
    assert (by_hand.title, by_hand.text) == (
        "The daily flow failed",
        f"{NEW_YORK_CLOSED:%Y-%m-%d %H:%M} UTC: train: the disk is full",
    )
    check(place, receiver, ended=replace(failed, failure=""))
    assert "The daily flow failed" not in titles(check(place, receiver))
    assert [message["title"] for message in receiver.messages] == ["tickercast: 2 new", "tickercast: 1 over"]
    assert receiver.messages[0]["type"] == "failure"


@pytest.mark.parametrize("why", ["", "fetch: no network"])
def test_a_run_of_an_earlier_day_leaves_the_failure_of_a_later_one(place: Place, receiver: Receiver, why: str) -> None:
    after_midnight, day = NEW_YORK_CLOSED + timedelta(hours=4), NEW_YORK_CLOSED.date()
    check(place, receiver, now=after_midnight, ended=EndedRun(day, "train: the disk is full"))
    earlier = check(place, receiver, now=after_midnight, ended=EndedRun(day - timedelta(days=1), why))
    assert earlier.news == []
    assert earlier.found[0].text == "2023-07-22 02:00 UTC, for 2023-07-21: train: the disk is full"
    assert check(place, receiver, now=after_midnight).found == earlier.found
    again = check(place, receiver, now=after_midnight, ended=EndedRun(day, ""))
    assert "The daily flow failed" not in titles(again)


def test_another_champion_is_sent_with_the_reason(place: Place, receiver: Receiver) -> None:
    check(place, receiver)
    place.store.write(CHAMPION, b'{"name": "tickercast-lstm", "version": "2"}')
    decided = {
        "day": [AT.date()], "kind": ["promotion"], "decision": ["promoted"], "reason": ["ratio 0.980"],
        "model_name": ["tickercast-lstm"],
        "champion_version": ["1"], "candidate_version": ["2"], "origins": [500], "created_at": [AT],
    }  # fmt: skip
    place.warehouse.append("retrains", pd.DataFrame(decided), key="retrains/1")
    check(place, receiver)
    assert receiver.messages[1]["message"] == "info: tickercast-lstm 2 is served. promoted: ratio 0.980"


def test_the_newest_report_of_drift_counts(place: Place) -> None:
    def report(day: datetime, score: float) -> pd.DataFrame:
        row = {
            "day": day.date(), "kind": "input", "name": "sigma_20", "method": "psi", "score": score, "threshold": 0.1,
            "drifted": score > 0.1, "simulated": False,
            "model_name": "tickercast-lstm", "model_version": "1", "report": "drift/1.html", "created_at": day,
        }  # fmt: skip
        return pd.DataFrame([row])

    place.warehouse.append("drift", report(AT, 0.3), key="drift/1")
    found = check(place).found[0]
    assert found.title == "The inputs have drifted"
    assert found.text == (
        "2023-07-22: 1 of 1 are beyond their threshold, sigma_20 furthest with 0.3 of 0.1. The report is drift/1.html."
    )
    place.warehouse.append("drift", report(AT + timedelta(days=1), 0.05), key="drift/2")
    assert titles(check(place)) == ["tickercast-lstm 1 is served"]


def test_a_symbol_that_was_given_up_long_before_the_others_has_no_alert_of_its_own(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = {"MSFT": date(2023, 7, 21), "GONE": date(2023, 4, 12), "AAPL": date(2023, 4, 13)}  # 100 days before, and 99
    rows = [
        ingestion(str(number), symbol=symbol, status="forecast", simulated=False, cutoff=day)
        for number, (symbol, day) in enumerate(ends.items())
    ]
    append(place.warehouse, "ingestions", rows, "ingestions/1")
    asked: list[list[str]] = []
    monkeypatch.setattr(alert_jobs, "calibrations", lambda warehouse, symbols: asked.append(sorted(symbols)) or [])
    check(place)
    check(place, watchlist=["GONE"])
    assert asked == [["AAPL", "MSFT"], ["GONE"]], "but where it is watched"


class Scaled(Champion):
    """Knows the walk of `make_bars`, and takes its steps to be so many times as wide."""

    def __init__(self, factor: float) -> None:
        self._factor = factor

    def predict(self, series: Sequence[Bars]) -> Any:
        normal = [NormalDist().inv_cdf(level) for level in QUANTILES]
        reach = 0.015 * self._factor * np.sqrt(np.arange(1, HORIZON + 1))
        return np.broadcast_to(np.outer(reach, normal), (len(series), HORIZON, len(QUANTILES))).copy()


@pytest.mark.parametrize(("factor", "symbols", "said"), [
    (0.3, 100, "too narrow"), (1.0, 100, ""), (3.0, 100, "too wide"), (3.0, 99, ""),
])  # fmt: skip
def test_intervals_that_mislead_are_an_alert_once_enough_origins_are_resolved(
    place: Place, make_bars: Any, factor: float, symbols: int, said: str
) -> None:
    place.served = lambda: [Served(Scaled(factor), Role.CHAMPION)]
    whole = [make_bars(f"S{number}", last=date(2023, 8, 4), seed=number) for number in range(symbols)]
    place.now = NEW_YORK_CLOSED
    known = [bars.until(date(2023, 7, 21)) for bars in whole]
    place.handle(place.upload("ohlc/2023-07-21/batch-0001.csv", to_csv(known)))
    place.now += timedelta(days=14)
    place.handle(place.upload("ohlc/2023-08-04/batch-0001.csv", to_csv(whole)))
    found = [each.title for each in check(place).found if each.kind == "coverage"]
    assert found == ([f"The champion's 80% intervals are {said}"] if said else [])


def test_that_the_warehouse_is_down_is_sent_and_closes_nothing(
    place: Place, receiver: Receiver, tmp_path: Path
) -> None:
    rejected(place)
    check(place, receiver)
    there, place.warehouse = place.warehouse, DuckDBWarehouse(tmp_path / "bucket", resource("sql"), patience_s=0.1)
    check(place, receiver)
    place.warehouse = there
    check(place, receiver)
    assert [message["title"] for message in receiver.messages] == [
        "tickercast: 2 new",
        "tickercast: 1 new",
        "tickercast: 1 over",
    ]
    assert "failure: The warehouse does not answer" in receiver.messages[1]["message"]


def test_a_bucket_that_cannot_be_used_is_an_alert_and_closes_nothing(
    place: Place, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    rejected(place)
    before = titles(check(place, receiver))

    def down(*_: Any, **__: Any) -> str:
        raise StoreUnavailable("The bucket is down.")

    with monkeypatch.context() as context:
        context.setattr(place.store, "generation", down)
        with pytest.raises(StoreUnavailable):  # what was sent cannot be recorded
            check(place, receiver)
    assert receiver.messages[1]["message"].startswith("failure: The bucket cannot be used. The bucket is down.")
    assert "over:" not in receiver.messages[1]["message"]
    assert titles(check(place, receiver)) == before


def test_a_bucket_that_lost_its_champion_is_an_alert_and_settles_no_rejected_file(place: Place) -> None:
    rejected(place)
    for name in place.store.names(""):
        place.store.delete(name, generation=place.store.generation(name))
    [found] = check(place).found
    assert (found.title, found.severity) == ("The bucket cannot be used", "failure")
    assert "holds no published model, and the ledger has 1 entry" in found.text
    assert not check(place).checked & {"rejected", "champion"}


def test_a_damaged_pointer_at_the_champion_is_a_failure(place: Place, receiver: Receiver) -> None:
    check(place, receiver)
    place.store.write(CHAMPION, b"{")
    [found] = check(place, receiver).found
    assert (found.title, found.severity) == ("No champion can be served", "failure")
    assert "tickercast rollback --to VERSION" in found.text
    assert receiver.messages[-1]["title"] == "tickercast: 1 changed"


def test_of_two_checks_at_once_both_may_send_and_neither_record_is_lost(
    place: Place, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Receiver()
    deliver = alert_jobs._deliver

    def meanwhile(notifier: Notifier, news: Any) -> None:
        monkeypatch.setattr(alert_jobs, "_deliver", deliver)
        check(place, receiver, other, watchlist=["MSFT"])
        deliver(notifier, news)

    try:
        monkeypatch.setattr(alert_jobs, "_deliver", meanwhile)
        check(place, receiver, watchlist=["MSFT"])
        assert [len(each.messages) for each in (receiver, other)] == [2, 1]
        check(place, receiver, other, watchlist=["MSFT"])
        assert [len(each.messages) for each in (receiver, other)] == [2, 1]
    finally:
        other.close()


def test_alerts_whose_record_cannot_be_read_or_written_are_sent_again(
    place: Place, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.store.write(SENT, b"{")
    check(place, receiver)
    assert check(place, receiver).news == []

    def down(*_: Any, **__: Any) -> int:
        raise StoreUnavailable("The bucket is down.")

    monkeypatch.setattr(place.store, "generation", down)
    with pytest.raises(StoreUnavailable):
        check(place, receiver, ended=EndedRun(AT.date(), "The bucket is down."))
    assert "The daily flow failed" in receiver.messages[1]["message"]


def test_two_receivers_that_differ_in_their_secrets_only_are_two() -> None:
    made = engines.notifiers(
        Settings(alert_urls="json://u:a@localhost:1, json://u:b@localhost:1 json://u:b@localhost:1")
    )
    assert len({notifier.key for notifier in made}) == len(made) == 2


def test_secrets_are_never_shown(
    place: Place, receiver: Receiver, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    settings = Settings(
        alert_urls=receiver.apprise_url, bucket=place.store.url, warehouse=place.warehouse.url, source="simulated"
    )
    receiver.status = 500
    with caplog.at_level(logging.DEBUG), pytest.raises(AlertUnavailable) as refusal:
        check(place, receiver)
    receiver.status = 200
    check(place, receiver)
    with pytest.raises(UsageError) as wrong:
        engines.notifiers(Settings(alert_urls=f"bad://user:{SECRET}@host"))
    [answer] = [check.answer for check in App(settings).doctor() if check.name == "alerts"]
    shown = [repr(settings), str(refusal.value), str(wrong.value), caplog.text, *capfd.readouterr(), answer]
    assert SECRET not in " ".join(shown) + place.store.read(SENT).decode()
    assert answer == "go to JSON"


def test_the_command_lists_and_sends(workspace: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    (workspace / "watchlist.txt").write_text("MSFT\n")
    listed = CliRunner().invoke(app, ["alerts", "--watchlist", "watchlist.txt"])
    assert listed.exit_code == 1
    assert CliRunner().invoke(app, ["alerts", "--watchlist", "watchlist.txt", "--failures-only"]).exit_code == 1
    assert CliRunner().invoke(app, ["alerts", "--failures-only"]).exit_code == 0
    assert "MSFT has no fresh forecast" in listed.output
    refused = CliRunner().invoke(app, ["alerts", "--send"])
    assert "TICKERCAST_ALERT_URLS is empty" in str(refused.exception)
    monkeypatch.setenv("TICKERCAST_ALERT_URLS", receiver.apprise_url)
    sent = CliRunner().invoke(app, ["alerts", "--watchlist", "watchlist.txt", "--send"])
    assert "sent to JSON: 2 new" in sent.output
    again = CliRunner().invoke(app, ["alerts", "--watchlist", "watchlist.txt", "--send"])
    assert "Nothing is new" in again.output
    assert len(receiver.messages) == 1
    assert CliRunner().invoke(app, ["alerts"]).exit_code == 0


def test_a_coin_that_is_forecast_no_more_has_an_alert_until_it_is_again_or_is_taken_out(place: Place) -> None:
    hour = {"symbol": "BTCUSDT", "frequency": "1h", "status": "forecast", "simulated": False}
    ends = [AT - timedelta(hours=back) for back in range(5, 29)]
    rows = [
        ingestion(str(number), **hour, object=f"o{number}", cutoff=end.date(), cutoff_at=end, received_at=end)
        for number, end in enumerate(ends)
    ]
    once = ingestion("99", **hour | {"symbol": "ETHUSDT"}, cutoff=AT.date(), cutoff_at=ends[-1], received_at=ends[-1])
    append(place.warehouse, "ingestions", [*rows, once], "ingestions/1")
    models = ModelStore(place.store, resource("shipped"))
    facts = alert_jobs.gather_facts(store=place.store, models=models, warehouse=place.warehouse, now=AT)
    assert facts.hours
    [coin] = facts.hours
    assert (coin.symbol, coin.cutoff_at, coin.missed) == ("BTCUSDT", ends[0], 5)
    given: dict[str, Any] = {"store": place.store, "models": models, "warehouse": place.warehouse}
    given["now"] = AT + timedelta(days=40)
    opened = open_alerts(alert_jobs.gather_facts(**given))
    assert [alert.title for alert in opened if alert.kind == "hours"] == [
        "BTCUSDT has had no hourly forecast for a day or more"
    ]
    given["now"] = AT + timedelta(days=400)
    assert alert_jobs.gather_facts(**given).hours == [], "given up, as nobody names it"
    named = open_alerts(alert_jobs.gather_facts(**given, coins=["ETHUSDT", "SOLUSDT"]))
    assert [alert.title for alert in named if alert.kind == "hours"] == [
        "ETHUSDT has had no hourly forecast for a day or more",
        "SOLUSDT has no fresh hourly forecast",
    ]
    assert alert_jobs.gather_facts(**given, coins=[]).hours == [], "all were taken out"


def test_the_coins_that_need_a_forecast_are_those_of_the_hourly_watchlist(workspace: Path) -> None:
    def titles(**settings: Any) -> list[str]:
        opened = App(Settings(warehouse=f"duckdb://{workspace}/w.duckdb", **settings)).open_alerts()
        return [alert.title for alert in opened if alert.kind == "hours"]

    coins = workspace / "coins.txt"
    coins.write_text("BTCUSDT\n")
    assert titles() == []
    assert titles(hourly_watchlist=str(coins)) == ["BTCUSDT has no fresh hourly forecast"]
    coins.write_text("# none by now\n")
    assert titles(hourly_watchlist=str(coins)) == []


def test_an_outage_does_not_end_what_was_found_of_coverage(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    hour = {"symbol": "BTCUSDT", "frequency": "1h", "status": "forecast", "simulated": False}
    made = ingestion("1", **hour, cutoff=AT.date(), cutoff_at=AT, received_at=AT)
    append(place.warehouse, "ingestions", [made], "ingestions/1")
    asked: list[date] = []
    ask = alert_jobs.ask

    def noted(warehouse: Warehouse, name: str, **given: Any) -> pd.DataFrame:
        if name == "alert_coverage_hours":
            asked.append(given["since"])
        return ask(warehouse, name, **given)

    monkeypatch.setattr(alert_jobs, "ask", noted)
    given: dict[str, Any] = {"store": place.store, "models": ModelStore(place.store, resource("shipped"))}
    later = AT + timedelta(days=400)
    alert_jobs.gather_facts(**given, warehouse=place.warehouse, now=later, coins=["BTCUSDT"])
    assert asked == [AT.date() - timedelta(days=28)]
