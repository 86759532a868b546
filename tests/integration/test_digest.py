"""The digest, from a real warehouse through the real Apprise to receivers on this machine: once a day, and complete."""

import base64
import shutil
import smtplib
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from email import message_from_bytes
from pathlib import Path
from typing import Any

import pytest
from tests.support.alert_receiver import SECRET, Receiver
from tests.support.trading import Evening
from typer.testing import CliRunner

from tickercast import engines
from tickercast.app import App
from tickercast.cli import app as cli
from tickercast.config import Settings
from tickercast.domain.bars import Bars
from tickercast.domain.files.price_files import to_csv
from tickercast.errors import LeaseLost, StoreUnavailable
from tickercast.jobs.champion.decisions import Decided
from tickercast.jobs.daily import run_day as run_day_module
from tickercast.jobs.daily.lease import TERM, Lease
from tickercast.jobs.operations import digest as digests
from tickercast.jobs.operations.digest import SENT, SentDigest
from tickercast.jobs.operations.drift import DriftCheck
from tickercast.ports import Letter, ObjectFinalized
from tickercast.show.day import day_lines
from tickercast.show.digest import letter

pytest.importorskip("apprise")

THURSDAY, FRIDAY, MONDAY = date(2023, 7, 20), date(2023, 7, 21), date(2023, 7, 24)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    yield server
    server.close()


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digests, "PAUSES_S", (0.0, 0.0))


class Desk:
    """An application whose clock a test sets, with bars of three symbols."""

    def __init__(self, folder: Path, *urls: str) -> None:
        settings = Settings(
            bucket=f"file://{folder}/bucket", warehouse=f"duckdb://{folder}/w.duckdb", digest_urls=" ".join(urls)
        )
        self.moment = _evening(FRIDAY)
        self.app = App(settings, now=lambda: self.moment)
        self.app.provision()

    def arrive(self, bars: Bars, day: date) -> None:
        self.moment = _evening(day)
        name = f"ohlc/{day}/{bars.symbol}.csv"
        self.app.silent_store.write(name, to_csv([bars.until(day)]))
        generation = self.app.silent_store.generation(name)
        self.app.handle(ObjectFinalized("bucket", name, generation, written_at=self.moment))


def _evening(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 23, tzinfo=UTC)


@pytest.fixture(scope="module")
def series(make_bars: Any) -> dict[str, Bars]:
    """Three symbols up to Monday; on Friday one of them falls by a fifth, and the market does not."""
    made = {
        symbol: make_bars(symbol, last=MONDAY, seed=number) for number, symbol in enumerate(("AAPL", "MSFT", "IBM"))
    }
    crashed = made["IBM"].frame.copy()
    later = crashed["session_date"].dt.date >= FRIDAY
    for name in ("open", "high", "low", "close", "adj_close"):
        crashed.loc[later, name] *= 0.8
    crashed.loc[crashed["session_date"].dt.date == FRIDAY, ["high"]] /= 0.75
    return made | {"IBM": Bars("IBM", crashed)}


@pytest.fixture(scope="module")
def forecast(tmp_path_factory: pytest.TempPathFactory, series: dict[str, Bars]) -> Path:
    """The bucket and the warehouse of a desk at which the files of Thursday and Friday arrived."""
    folder = tmp_path_factory.mktemp("forecast")
    desk = Desk(folder)
    for day in (THURSDAY, FRIDAY):
        for bars in series.values():
            desk.arrive(bars, day)
    return folder


@pytest.fixture
def desk_of(forecast: Path, tmp_path: Path) -> Callable[..., Desk]:
    """Makes the desk at which these files arrived."""

    def make(*urls: str) -> Desk:
        shutil.copytree(forecast, tmp_path, dirs_exist_ok=True)
        return Desk(tmp_path, *urls)

    return make


def test_the_digest_says_what_was_hit_and_missed_what_changed_and_what_is_next(
    desk_of: Callable[..., Desk], series: dict[str, Bars], receiver: Receiver
) -> None:
    desk = desk_of(receiver.apprise_url)
    assert desk.app.send_digest(["AAPL", "MSFT", "IBM"]) == SentDigest(FRIDAY, ("JSON",))
    [message] = receiver.messages
    scores = desk.app.tables.read("forecast_scores", {"role": "champion", "step": 1})
    inside = int(scores["inside_80"].sum())
    assert message["title"] == f"tickercast 2023-07-21: 3 symbols, {inside} of 3 closes inside 80%"
    text = message["message"]
    assert f"{inside} of the 3 closes forecast the session before were inside the 80% interval" in text
    fell = series["IBM"].frame.set_index("session_date")["close"]
    change = fell[str(FRIDAY)] / fell[str(THURSDAY)] - 1
    assert f"- IBM closed at {fell[str(FRIDAY)]:.2f} ({change:+.1%}), below its 80% interval, " in text
    assert "Hardly expected\n- IBM" in text
    assert "- info: IBM closed outside its 95% interval on 2023-07-21. " in text
    assert "tickercast-lstm 1 is served" in text
    for row in desk.app.overview(["AAPL", "MSFT", "IBM"]):
        assert f"- {row.symbol} {row.last_close:,.2f} ({row.change:+.1%}): 80% in {row.close_lo_80:,.2f} … " in text
        assert f"higher {row.chance_higher:.0%}" in text
    [picture] = message["attachments"]
    assert base64.b64decode(picture["base64"]).startswith(b"\x89PNG")
    assert SECRET not in desk.app.silent_store.read(SENT).decode()


def test_a_day_is_sent_once_and_the_next_day_says_only_what_is_new(
    desk_of: Callable[..., Desk], series: dict[str, Bars], receiver: Receiver
) -> None:
    desk = desk_of(receiver.apprise_url)
    for _ in range(3):
        desk.app.send_digest()
    assert len(receiver.messages) == 1
    again = desk.app.send_digest()
    assert again == SentDigest(FRIDAY)
    assert str(again) == "of 2023-07-21 had been sent before"
    for bars in series.values():
        desk.arrive(bars, MONDAY)
    desk.app.send_digest()
    desk.app.send_digest()
    [_, monday] = receiver.messages
    assert monday["title"].startswith("tickercast 2023-07-24: ")
    assert "is served" not in monday["message"]
    assert "What changed\n- nothing" in monday["message"]


def test_a_receiver_that_fails_is_tried_again_and_the_other_gets_it_once(
    desk_of: Callable[..., Desk], receiver: Receiver
) -> None:
    deaf = Receiver()
    deaf.status = 500
    try:
        desk = desk_of(receiver.apprise_url, deaf.apprise_url)
        sent = desk.app.send_digest()
        assert sent is not None
        assert sent.services == ("JSON",)
        [refusal] = sent.refusals
        assert "(entry 2 of TICKERCAST_DIGEST_URLS) did not accept" in refusal
        assert SECRET not in refusal
        assert deaf.asked == 3
        deaf.status = 200
        assert desk.app.send_digest() == SentDigest(FRIDAY, ("JSON",))
        assert desk.app.send_digest() == SentDigest(FRIDAY)
        assert [len(each.messages) for each in (receiver, deaf)] == [1, 1]
        assert receiver.messages[0]["message"] == deaf.messages[0]["message"]
    finally:
        deaf.close()


def test_a_run_that_lost_its_lock_sends_nothing(
    desk_of: Callable[..., Desk], receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = desk_of(receiver.apprise_url)

    def overtaken(found: Any) -> Letter:
        desk.moment += 2 * TERM
        other = Lease(machine="another", process=1, until=desk.moment + TERM)
        desk.app.silent_store.write(f"locks/{digests._LOCK}.json", other.model_dump_json().encode())
        return Letter("title", "text", "page", b"")

    monkeypatch.setattr(App, "write_digest", lambda self, found: overtaken(found))
    with pytest.raises(LeaseLost, match="is another run's by now"):
        desk.app.send_digest()
    assert receiver.messages == []


def test_an_earlier_day_is_not_sent_after_a_later_one(
    desk_of: Callable[..., Desk], series: dict[str, Bars], receiver: Receiver
) -> None:
    desk = desk_of(receiver.apprise_url)
    for bars in series.values():
        desk.arrive(bars, MONDAY)
    desk.app.send_digest()
    checked = desk.app._checked(None)
    past = digests.send_digest(
        FRIDAY,
        (),
        checked,
        store=desk.app.silent_store,
        warehouse=desk.app.tables,
        receivers=desk.app.digest_receivers,
        write=desk.app.write_digest,
        now=desk.app.now,
    )
    assert past == SentDigest(FRIDAY)
    assert len(receiver.messages) == 1


def test_a_run_that_dies_after_a_delivery_sends_the_rest_and_nothing_twice(
    desk_of: Callable[..., Desk], receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = Receiver()
    try:
        desk = desk_of(receiver.apprise_url, second.apprise_url)
        store = desk.app.silent_store
        write, written = store.write, [0]

        def dies(name: str, *given: Any, **more: Any) -> str:
            written[0] += name == SENT
            if written[0] == 3:
                raise StoreUnavailable("killed")
            return write(name, *given, **more)

        with monkeypatch.context() as patched:
            patched.setattr(store, "write", dies)
            with pytest.raises(StoreUnavailable):
                desk.app.send_digest()
        assert [len(each.messages) for each in (receiver, second)] == [1, 1]
        desk.app.send_digest()
        assert [len(each.messages) for each in (receiver, second)] == [1, 2]  # its delivery was not recorded
    finally:
        second.close()


def test_a_mail_is_a_page_with_the_picture_and_a_chat_gets_text(
    desk_of: Callable[..., Desk], series: dict[str, Bars], monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[bytes] = []

    class Mailer:
        def __init__(self, *_: Any, **__: Any) -> None:
            self.esmtp_features: dict[str, str] = {}

        def __getattr__(self, name: str) -> Any:
            return lambda *_, **__: None

        def sendmail(self, source: str, targets: Any, content: Any, *_: Any) -> dict[str, Any]:
            sent.append(content.encode() if isinstance(content, str) else content)
            return {}

    monkeypatch.setattr(smtplib, "SMTP", Mailer)
    monkeypatch.setattr(smtplib, "SMTP_SSL", Mailer)
    desk = desk_of(f"mailtos://user:{SECRET}@example.org?to=a@example.org")
    assert desk.app.send_digest() == SentDigest(FRIDAY, ("E-Mail",))
    [mail] = [message_from_bytes(content) for content in sent]
    parts = {part.get_content_type(): part.get_payload(decode=True) for part in mail.walk() if not part.is_multipart()}
    page = parts["text/html"].decode()
    assert "<table>" in page
    assert all(f"<b>{symbol}</b>" in page for symbol in series)
    assert "http" not in page.replace("http-equiv", "")
    assert parts["image/png"].startswith(b"\x89PNG")


def test_a_close_is_told_once_where_other_exchanges_go_on(tmp_path: Path, make_bars: Any, receiver: Receiver) -> None:
    desk = Desk(tmp_path, receiver.apprise_url)
    saturday, sunday = date(2023, 7, 22), date(2023, 7, 23)
    stock, coin = make_bars("MSFT", last=FRIDAY), make_bars("BTC-USD", last=sunday)
    for day in (THURSDAY, FRIDAY):
        desk.arrive(stock, day)
    for day in (FRIDAY, saturday):  # a coin's day has closed with the next one's beginning
        desk.arrive(coin, day)
    desk.app.send_digest()
    desk.arrive(coin, sunday)
    desk.app.send_digest()
    friday, weekend = (message["message"] for message in receiver.messages)
    assert "of the 2 closes forecast the session before" in friday
    assert "of the 1 close forecast the session before" in weekend
    assert "MSFT" in weekend  # whose forecast is still there


def test_a_close_of_an_earlier_session_is_no_close_of_the_day(
    tmp_path: Path, series: dict[str, Bars], receiver: Receiver
) -> None:
    desk = Desk(tmp_path, receiver.apprise_url)
    for bars in series.values():
        desk.arrive(bars, THURSDAY - timedelta(days=1))
        desk.arrive(bars, THURSDAY)
        if bars.symbol != "AAPL":
            desk.arrive(bars, FRIDAY)
    desk.app.send_digest()
    text = receiver.messages[0]["message"]
    assert "of the 2 closes forecast the session before" in text
    [row] = desk.app.overview(["AAPL"])
    assert f"- AAPL {row.last_close:,.2f} ({row.change:+.1%})" in text
    [line] = [line for line in text.splitlines() if line.startswith("- AAPL")]
    assert f"close of {THURSDAY}" in line
    assert text.count("close of 2023") == 1


def test_findings_from_files_call_nobody_and_are_no_markup(desk_of: Callable[..., Desk], receiver: Receiver) -> None:
    desk = desk_of()
    found = desk.app.digest()
    assert found is not None
    odd = replace(found.rows[0], findings="<img src=x> @everyone")
    made = letter(replace(found, rows=[odd, *found.rows[1:]]))
    assert "&lt;img src=x&gt; ＠everyone" in made.html
    [notifier] = engines.digest_receivers(Settings(digest_urls=receiver.apprise_url))
    notifier.send(Letter(made.title, made.text, made.html))
    assert "@everyone" not in receiver.messages[0]["message"]
    assert "attachments" not in receiver.messages[0] or not receiver.messages[0]["attachments"]


def test_the_command_prints_and_sends(
    tmp_path: Path, desk_of: Callable[..., Desk], receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TICKERCAST_BUCKET", f"file://{tmp_path}/bucket")
    monkeypatch.setenv("TICKERCAST_WAREHOUSE", f"duckdb://{tmp_path}/w.duckdb")
    empty = CliRunner().invoke(cli, ["digest", "--print"])
    assert "No forecast of days is stored" in str(empty.exception)
    desk_of()
    nobody = CliRunner().invoke(cli, ["digest"])
    assert "TICKERCAST_DIGEST_URLS is empty" in str(nobody.exception)
    shown = CliRunner().invoke(cli, ["digest", "--print", "--html", "d.html", "--png", "d.png"])
    assert shown.exit_code == 0
    assert "The previous session's forecasts" in shown.output
    assert (tmp_path / "d.html").read_text().startswith("<!doctype html>")
    assert (tmp_path / "d.png").read_bytes().startswith(b"\x89PNG")
    monkeypatch.setenv("TICKERCAST_DIGEST_URLS", receiver.apprise_url)
    sent = CliRunner().invoke(cli, ["digest"])
    assert "digest of 2023-07-21 sent to JSON" in sent.output
    again = CliRunner().invoke(cli, ["digest"])
    assert "digest of 2023-07-21 had been sent before" in again.output
    assert len(receiver.messages) == 1


def test_the_day_sends_its_digest_once_and_fails_for_no_receiver(tmp_path: Path, receiver: Receiver) -> None:
    evening = Evening(tmp_path, may_train=False)
    evening.begin(1.0)
    evening.app.__dict__["digest_receivers"] = engines.digest_receivers(Settings(digest_urls=receiver.apprise_url))
    receiver.status = 500
    first = evening.run()
    assert not first.failures
    assert isinstance(first.digest, SentDigest)
    assert first.digest.refusals
    [line] = [line for line in day_lines(first) if line.startswith("digest")]
    assert "(entry 1 of TICKERCAST_DIGEST_URLS) did not accept" in line
    receiver.status = 200
    assert evening.run().digest == SentDigest(first.market.day, ("JSON",))
    assert evening.run().digest == SentDigest(first.market.day)
    assert [message["title"][:21] for message in receiver.messages] == [f"tickercast {first.market.day}"]


def test_a_fault_of_ours_stops_no_day_where_it_is_said_and_leaves_its_traceback(
    tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    evening = Evening(tmp_path, may_train=False)
    evening.begin(1.0)
    evening.app.__dict__["digest_receivers"] = engines.digest_receivers(Settings(digest_urls=receiver.apprise_url))

    def broken(*_: object, **__: object) -> object:
        raise KeyError("close")

    for name in ("trades", "portfolios", "results_source", "write_digest"):
        monkeypatch.setattr(evening.app, name, broken)
    monkeypatch.setattr(evening.app, "trading_losses", lambda: ())
    day = evening.run()
    assert not day.failures
    assert list(day.undone) == ["events", "portfolio", "on paper"]
    assert f"digest      {day.digest}" in list(day_lines(day))
    told: list[str] = []
    monkeypatch.setattr(run_day_module, "send_alerts", lambda **given: told.append(given["ended"].failure))
    monkeypatch.setattr(run_day_module, "fetch", broken)
    with pytest.raises(KeyError):
        evening.run()
    said = [day.events, day.digest, *day.portfolios.values(), *day.traded.values(), *told]
    assert len(said) == 5
    for each in said:
        sentence, _, file = str(each).partition(". The details are in ")
        assert sentence == "it failed unexpectedly"
        assert Path(file.removesuffix(".")).read_text().rstrip().endswith("KeyError: 'close'")


@pytest.mark.parametrize(
    ("job", "error"),
    [
        ("train_challenger", KeyError("sp")),
        ("decide_promotion", StoreUnavailable("MLflow does not answer.")),
        ("refresh_widths", KeyError("sp")),
    ],
)
def test_what_fails_after_the_forecasts_fails_the_day_once_all_else_is_done(
    tmp_path: Path, receiver: Receiver, job: str, error: Exception
) -> None:
    evening = Evening(tmp_path, may_train=job == "train_challenger")
    evening.begin(1.0)
    app, begun = evening.app, list[str]()
    app.settings = app.settings.model_copy(update={"trade": "buy-and-hold@paper://"})
    app.__dict__["digest_receivers"] = engines.digest_receivers(Settings(digest_urls=receiver.apprise_url))

    def wrap(step: Callable[..., Any]) -> Callable[..., Any]:
        def failing(*_: object, **__: object) -> None:
            raise error

        begun.append(step.__name__)
        return failing if step.__name__ == job else step

    with pytest.raises(type(error)) as raised:
        evening.run(wrap)
    assert raised.value is error
    assert begun[-4:] == ["refresh_widths", "trade", "send_alerts", "send_digest"]
    assert len(evening.warehouse.read("orders")) == 8
    [message] = receiver.messages
    assert "The daily flow failed" in message["message"]
    why = "MLflow does not answer." if isinstance(error, StoreUnavailable) else "it failed unexpectedly. The details"
    [found] = [alert for alert in app.open_alerts() if alert.kind == "flow"]
    assert found.text.startswith(f"2024-06-10 22:30 UTC: {why}")
    evening.may_train = False
    evening.run()
    assert [alert for alert in app.open_alerts() if alert.kind == "flow"] == []


def test_a_day_that_fails_says_everything_that_is_left_undone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    evening = Evening(tmp_path)
    evening.begin(1.0)
    evening.app.settings = evening.app.settings.model_copy(update={"trade": "bogus@paper://"})

    def wrap(step: Callable[..., Any]) -> Callable[..., Any]:
        def failing(*_: object, **__: object) -> None:
            raise StoreUnavailable(f"{step.__name__} has no bucket.")

        return failing if step.__name__ in ("read_scores", "refresh_widths") else step

    with pytest.raises(StoreUnavailable, match="read_scores has no bucket"):
        evening.run(wrap)
    [found] = [alert for alert in evening.app.open_alerts() if alert.kind == "flow"]
    assert "decision: read_scores has no bucket. widths: refresh_widths has no bucket. on paper: 'bogus'" in found.text
    left = [line for line in caplog.messages if line.startswith(("decision: ", "widths: ", "on paper: "))]
    assert [line.partition(":")[0] for line in left] == ["widths", "on paper"]


def test_a_registry_that_does_not_answer_leaves_the_training_undone_and_nothing_else(
    tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    evening = Evening(tmp_path)
    evening.begin(1.0)
    app = evening.app
    app.__dict__["digest_receivers"] = engines.digest_receivers(Settings(digest_urls=receiver.apprise_url))

    def away(*_: object, **__: object) -> None:
        raise StoreUnavailable("No MLflow server can be reached.")

    with monkeypatch.context() as patched:
        patched.setattr(evening.registry, "aliased", away)
        patched.setattr(evening.registry, "versions", away)
        day = evening.run()
    assert day.results.forecasts == len(evening.symbols)
    assert isinstance(day.drift, DriftCheck)
    assert isinstance(day.digest, SentDigest)
    assert day.undone == {
        "training": "nothing is trained or decided. No MLflow server can be reached. The forecasts are by "
        f"tickercast-lstm 1, which {app.models.url} serves without the registry; the next run of the day does the rest."
    }
    assert [line for line in day_lines(day) if "since the registry is needed for it" in line] == [
        "probation   none, since the registry is needed for it",
        "decision    none, since the registry is needed for it",
    ]
    assert "The daily flow failed" in receiver.messages[0]["message"]
    again = evening.run()
    assert isinstance(again.decided, Decided)
    assert again.decided.candidate_version == "2"
    assert not [alert for alert in app.open_alerts() if alert.kind == "flow"]


@pytest.mark.parametrize("step", ["fetch", "read_scores", "send_digest"])
def test_a_day_that_fails_says_whether_its_digest_and_its_alerts_were_sent(
    tmp_path: Path, receiver: Receiver, caplog: pytest.LogCaptureFixture, step: str
) -> None:
    evening = Evening(tmp_path, may_train=False)
    evening.begin(1.0)
    app = evening.app
    app.__dict__["digest_receivers"] = engines.digest_receivers(Settings(digest_urls=receiver.apprise_url))

    def wrap(job: Callable[..., Any]) -> Callable[..., Any]:
        def failing(*_: object, **__: object) -> None:
            raise StoreUnavailable(f"{job.__name__} has no bucket.")

        return failing if job.__name__ in (step, "read_scores", "send_alerts") else job

    with caplog.at_level("INFO"), pytest.raises(StoreUnavailable):
        evening.run(wrap)
    told = [line for line in caplog.messages if line.startswith(("alerts: ", "digest: "))]
    assert told == [
        "alerts: send_alerts has no bucket.",
        {
            "fetch": "digest: none is sent, since the day has ended before its forecasts.",
            "read_scores": "digest: of 2024-06-10 sent to JSON",
            "send_digest": "digest: send_digest has no bucket.",
        }[step],
    ]
    assert len(receiver.messages) == (step == "read_scores")


def test_a_run_whose_lease_is_lost_leaves_the_rest_to_the_other(tmp_path: Path) -> None:
    evening, begun = Evening(tmp_path, may_train=False), list[str]()
    evening.begin(1.0)

    def wrap(step: Callable[..., Any]) -> Callable[..., Any]:
        def lost(*_: object, **__: object) -> None:
            raise LeaseLost("Another run has begun.")

        begun.append(step.__name__)
        return lost if step.__name__ == "decide_promotion" else step

    with pytest.raises(LeaseLost):
        evening.run(wrap)
    assert not {"refresh_widths", "trade", "compact_warehouse"} & {*begun}


def test_nobody_asked_and_nothing_is_sent_or_said(tmp_path: Path) -> None:
    evening = Evening(tmp_path, may_train=False)
    evening.begin(1.0)
    day = evening.run()
    assert day.digest is None
    assert not [line for line in day_lines(day) if line.startswith("digest")]
    assert not evening.store.generation(SENT)
