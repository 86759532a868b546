"""The API as a program uses it: what is read, what is requested, and what happens when something is down."""

import json
import re
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pandas as pd
import pytest
from tests.support.api_client import Client, client
from tests.support.hourly import make_hours, table

from tickercast.api import door
from tickercast.api.answers import answer
from tickercast.api.forecasts import _ticket
from tickercast.app import App
from tickercast.config import Settings
from tickercast.domain.bars import Bars, Reading
from tickercast.domain.forecast import Role, Served
from tickercast.domain.tokens import Scope
from tickercast.errors import EngineUnusable, Outdated, SourceUnavailable, StoreUnavailable
from tickercast.models import catalogue
from tickercast.reading.ledger import Entry
from tickercast.show.tables import forecasts_json

MakeBars = Callable[..., Bars]
AT = datetime(2012, 8, 16, 12, tzinfo=UTC)


def application(folder: Path) -> App:
    settings = Settings(
        bucket=f"file://{folder}/bucket", warehouse=f"duckdb://{folder}/warehouse.duckdb", source="sample"
    )
    return App(settings, now=lambda: AT)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    app = application(tmp_path_factory.mktemp("api"))
    app.forecast("MSFT", "2012-08-14")
    app.forecast(["MSFT", "AAPL"], "2012-08-15")
    with client(app) as found:
        yield found


@pytest.fixture
def app(workspace: Path) -> App:
    return application(workspace)


def app_of(found: Client) -> App:
    service: App = found.door.inside.state.service.app
    return service


# ---------------------------------------------------------------- what is read


def test_a_forecast_is_what_the_command_line_prints(served: Client) -> None:
    answered = served.get("/v1/forecasts/msft")
    made = app_of(served).stored_forecast("MSFT").made
    assert answered.json() == json.loads(forecasts_json([made], date(2012, 8, 15)))[0]
    assert len(answered.json()["forecast"]) == 10


@pytest.mark.parametrize(
    ("path", "needed"),
    [
        ("/v1/forecasts/MSFT", {"symbol", "cutoff", "forecast"}),
        ("/v1/odds/MSFT?above=31", {"chances", "last_close"}),
    ],
)
def test_one_symbol_is_answered_by_one_object(served: Client, path: str, needed: set[str]) -> None:
    assert needed <= set(served.get(path).json())


@pytest.mark.parametrize(
    ("path", "rows"),
    [
        ("/v1/symbols", 2),
        ("/v1/overview", 2),
        ("/v1/models", 2),
        ("/v1/indicators/MSFT?sessions=7", 7),
        ("/v1/indicators/MSFT?first=2012-08-14&last=2012-08-14", 1),
        ("/v1/skill/MSFT", 2),
    ],
)
def test_rows_are_json_or_csv(served: Client, path: str, rows: int) -> None:
    found = served.get(path)
    assert len(found.json()) == rows
    for written in (
        served.get(path, headers={"Accept": "text/csv"}),
        served.get(f"{path}{'&' if '?' in path else '?'}format=csv"),
    ):
        assert written.headers["content-type"] == "text/csv; charset=utf-8"
        assert len(written.text.splitlines()) == rows + 1
    assert written.text.splitlines()[0].split(",") == list(found.json()[0])


@pytest.mark.parametrize(
    "path",
    [
        "/healthz",
        "/readyz",
        "/openapi.json",
        "/v1/symbols",
        "/v1/symbols?format=csv",
        "/v1/forecasts/MSFT",
        "/v1/forecasts/ZZZ",
        "/v1/tickets/x",
        "/v1/nothing",
    ],
)
def test_head_is_answered_as_get_is_without_the_body(served: Client, path: str) -> None:
    head, get = served.request("HEAD", path), served.get(path)
    assert (head.status_code, head.headers, head.content) == (get.status_code, get.headers, b"")
    assert int(head.headers["content-length"]) == len(get.content) > 0


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("text/csv, application/json", "application/json"),
        ("text/csv, */*", "application/json"),
        ("text/csv, application/json;q=0.9", "text/csv; charset=utf-8"),
        ("text/csv;q=0.5, application/json", "application/json"),
    ],
)
def test_csv_is_for_those_who_like_it_better_than_json(served: Client, accept: str, kind: str) -> None:
    assert served.get("/v1/symbols", headers={"Accept": accept}).headers["content-type"] == kind


def test_what_is_no_number_is_never_written_as_json() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        answer({"change": float("nan")}, csv=False)


@pytest.mark.parametrize("path", ["/v1/forecasts/MSFT", "/v1/overview", "/v1/indicators/MSFT", "/v1/models"])
def test_answers_fit_their_own_description(served: Client, path: str) -> None:
    described = served.get("/openapi.json").json()
    route = re.sub("MSFT", "{symbol}", path)
    schema = described["paths"][route]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    jsonschema.validate(served.get(path).json(), {**schema, "components": described["components"]})


@pytest.mark.parametrize("path", ["/v1/skill/MSFT", "/v1/overview", "/v1/models"])
def test_a_record_of_dates_of_training_says_so(served: Client, path: str) -> None:
    said = (
        "tickercast-lstm version 1 has forecasts of MSFT since 2012-08-14, but was trained on dates up to 2018-12-31: "
    )
    found = [row["seen_in_training"] for row in served.get(path).json() if row.get("symbol") != "AAPL"]
    assert any(each.startswith(said) for each in found)
    assert all(each.startswith(said) or not each for each in found)
    assert said in served.get(f"{path}?format=csv").text
    others = [row["seen_in_training"] for row in served.get(path).json() if row.get("symbol") == "AAPL"]
    assert not any(others)


def test_the_overview_says_what_the_forecast_says(served: Client) -> None:
    [_, row] = served.get("/v1/overview").json()
    made = app_of(served).stored_forecast("MSFT").made
    last = made.steps[-1]
    assert (row["symbol"], row["sessions"], row["age_days"]) == ("MSFT", 10, 1)
    assert (row["close_lo_80"], row["close_hi_80"]) == pytest.approx((last.close_lo_80, last.close_hi_80))
    assert row["hi_80"] == pytest.approx(last.close_hi_80 / made.last_close - 1)
    assert row["change"] == pytest.approx(30.2 / 30.13 - 1)
    assert row["verdict"] == "too early"
    closes = served.get("/v1/odds/MSFT", params={"above": made.last_close}).json()["chances"]
    assert row["chance_higher"] == pytest.approx(closes[-1]["ends"], abs=1e-4)


def test_odds_agree_with_the_intervals(served: Client) -> None:
    [*_, last] = app_of(served).stored_forecast("MSFT").made.steps
    within = {"above": last.close_lo_80, "below": last.close_hi_80}
    inside = served.get("/v1/odds/MSFT", params=within).json()["chances"][-1]
    above = served.get("/v1/odds/MSFT", params={"above": last.close_hi_80}).json()["chances"][-1]
    below = served.get("/v1/odds/MSFT", params={"below": last.close_lo_80}).json()["chances"][-1]
    assert (inside["ends"], above["ends"], below["ends"]) == pytest.approx((0.8, 0.1, 0.1), abs=1e-3)
    assert above["ends"] < above["closes"] < above["touches"]
    assert inside["touches"] < inside["closes"] < inside["ends"]


def test_odds_say_what_makes_them_less_certain(app: App, workspace: Path) -> None:
    app.provision()
    (workspace / "MSFT.csv").write_text("date,session,known_at\n2012-08-21,after,2012-08-01\n")
    app.fetch_events("MSFT", source=str(workspace / "MSFT.csv"))
    app.forecast("MSFT", "2012-08-15")
    with client(app) as found:
        odds = found.get("/v1/odds/MSFT?above=31").json()
        described = found.get("/openapi.json").json()
    assert odds["remarks"] == [
        "Results expected inside this horizon: MSFT 2012-08-21 (after the close).",
        f"Drawn from {odds['past_sessions']} past sessions, and 1,250 were wanted: rare moves are less certain.",
    ]
    assert (odds["past_sessions"], odds["simulated"]) == (app.odds("MSFT").outlook.sessions, False)
    jsonschema.validate(odds, {"$ref": "#/components/schemas/Odds", "components": described["components"]})


# ---------------------------------------------------------------- what is kept


def test_a_copy_is_right_until_another_file_is_handled(app: App) -> None:
    app.forecast("MSFT", "2012-08-15")
    with client(app) as found:
        first = found.get("/v1/symbols")
        known = {"If-None-Match": first.headers["etag"]}
        same = found.get("/v1/symbols", headers=known)
        assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", first.headers["etag"])
        assert same.headers["cache-control"] == "private, no-cache"
        found.post("/v1/forecasts", json={"symbol": "AAPL", "as_of": "2012-08-15"})
        later = found.get("/v1/symbols", headers=known)
        assert (later.status_code, len(later.json())) == (200, 2)


@pytest.mark.parametrize(
    ("known", "status"),
    [("{}", 304), ("W/{}", 304), ('"other", W/{}', 304), ("*", 304), ('"other"', 200), ("", 200)],
)
def test_a_copy_is_known_by_its_tag_in_every_form(served: Client, known: str, status: int) -> None:
    first = served.get("/v1/symbols")
    again = served.get("/v1/symbols", headers={"If-None-Match": known.format(first.headers["etag"])})
    assert (again.status_code, again.content) == (status, b"" if status == 304 else first.content)


def test_every_answer_says_that_it_depends_on_form_and_token(served: Client) -> None:
    tag = served.get("/v1/symbols").headers["etag"]
    answers = [
        served.get("/v1/symbols"),
        served.get("/v1/symbols", headers={"If-None-Match": tag}),
        served.get("/v1/usage"),
        served.get("/v1/tickets/xyz"),
        served.get("/v1/symbols", headers={"Host": "192.0.2.1"}),
    ]
    assert [each.status_code for each in answers] == [200, 304, 404, 404, 421]
    assert {each.headers["vary"] for each in answers} == {"accept, authorization"}


def test_the_answers_that_are_kept_are_few_and_small(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    app.forecast("MSFT", "2012-08-15")
    monkeypatch.setattr(door, "_MOST_KEPT", 3)
    with client(app) as found:
        kept = found.door._kept
        for sessions in range(1, 6):
            assert found.get(f"/v1/indicators/MSFT?sessions={sessions}").status_code == 200
        assert [query for _, query, _ in kept] == [b"sessions=3", b"sessions=4", b"sessions=5"]
        last = found.get("/v1/indicators/MSFT?sessions=5")
        kept.clear()
        monkeypatch.setattr(door, "_LARGEST_KEPT", len(last.content) - 1)
        again = found.get("/v1/indicators/MSFT?sessions=5", headers={"If-None-Match": last.headers["etag"]})
        assert (again.status_code, list(kept)) == (304, [])
        assert found.get("/v1/indicators/MSFT?sessions=1").status_code == 200
        assert len(kept) == 1


def test_a_request_and_its_ticket_are_seen_at_once(app: App) -> None:
    app.forecast("MSFT", "2012-08-14")
    with client(app) as found:
        found.door.inside.state.service._clock = lambda: 0.0  # at which nothing gets old by itself

        def symbols() -> int:
            return len(found.get("/v1/symbols").json())

        assert symbols() == 1
        ticket = found.post("/v1/forecasts", json={"symbol": "AAPL", "as_of": "2012-08-14"}).json()["url"]
        assert symbols() == 2
        app.forecast("IBM", "2012-08-14")
        assert symbols() == 2
        assert found.get(ticket).json()["status"] == "forecast"
        assert symbols() == 3


def test_an_overview_is_as_current_as_the_clock(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    app.forecast("MSFT", "2012-08-15")
    with client(app) as found:
        first = found.get("/v1/overview").json()
        monkeypatch.setattr(app, "now", lambda: AT + timedelta(hours=11))
        later = found.get("/v1/overview").json()
    assert (first[0]["symbol"], later[0]["symbol"]) == ("MSFT", "MSFT")
    assert first != later


def test_odds_say_how_old_their_forecast_is_by_the_clock(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    app.forecast("MSFT", "2012-08-15")
    with client(app) as found:
        [short] = found.get("/v1/odds/MSFT?above=31").json()["remarks"]
        monkeypatch.setattr(app, "now", lambda: AT + timedelta(hours=10))
        later = found.get("/v1/odds/MSFT?above=31").json()["remarks"]
    assert later == ["The session of 2012-08-16 has just closed: a new forecast is due.", short]


@pytest.mark.parametrize("kind", ["forecasts", "skill", "indicators"])
def test_an_answer_about_a_symbol_is_worked_out_again_for_its_own_files_alone(
    app: App, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    for day in ("2012-08-13", "2012-08-14"):
        app.forecast(["MSFT", "AAPL"], day)
    asked: list[str] = []
    read = app.tables.read

    def noting(name: str, where: Any = None, columns: Any = None) -> Any:
        asked.append(name)
        return read(name, where, columns)

    with client(app) as found:
        monkeypatch.setattr(app.tables, "read", noting)
        service = found.door.inside.state.service
        etag = found.get(f"/v1/{kind}/MSFT").headers["etag"]
        app.forecast("AAPL", "2012-08-15")
        service.look_again()
        asked.clear()
        assert (found.get(f"/v1/{kind}/MSFT").headers["etag"], asked) == (etag, [])
        app.forecast("MSFT", "2012-08-15")
        service.look_again()
        assert found.get(f"/v1/{kind}/MSFT").status_code == 200
        assert asked


def test_rows_of_usage_do_not_spoil_kept_answers(app: App) -> None:
    app.forecast("MSFT", "2012-08-15")
    with client(app) as found:
        before = app.revision()
        found.get("/v1/symbols")
        found.door.inside.state.service.usage.append(app.tables)
        assert len(app.tables.read("usage")) == 1
        assert app.revision() == before


# ---------------------------------------------------------------- what is requested


def test_a_request_is_accepted_and_its_ticket_says_what_became_of_it(app: App) -> None:
    with client(app) as found:
        accepted = found.post("/v1/forecasts", json={"symbol": "msft", "as_of": "2012-08-15"})
        assert accepted.status_code == 202
        assert accepted.headers["location"] == accepted.json()["url"]
        state = found.get(accepted.json()["url"]).json()
        assert (state["status"], state["symbol"], state["cutoff"]) == ("forecast", "MSFT", "2012-08-15")
        made = found.get(state["url"]).json()
        assert (made["symbol"], made["object"]) == ("MSFT", accepted.json()["object"])


def test_a_ticket_is_read_anew_and_a_forecast_is_what_became_of_it(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    app.forecast("MSFT", "2012-08-15")
    made = app.stored_forecast("MSFT").made
    [entry] = app.entries_of(made.object, made.generation)
    entries: list[Entry] = []
    monkeypatch.setattr(app, "entries_of", lambda *_: entries)
    with client(app) as found:
        found.door.inside.state.service._clock = lambda: 0.0
        path = "/v1/tickets/b2hsYy8yMDEyLTA4LTE1L01TRlQuY3N2IzE"
        pending = found.get(path)
        assert (pending.json()["status"], pending.headers["retry-after"]) == ("pending", "1")
        entries += [replace(entry, status="superseded"), entry]
        state = found.get(path)
    assert (state.json()["status"], state.json()["url"]) == ("forecast", "/v1/forecasts/MSFT?cutoff=2012-08-15")
    assert "etag" not in state.headers


def bars_of(bars: Bars) -> list[dict[str, object]]:
    frame = bars.frame.assign(date=bars.frame["session_date"].dt.strftime("%Y-%m-%d")).drop(columns="session_date")
    return frame.to_dict("records")  # type: ignore[return-value]


def test_bars_take_the_path_of_every_file(app: App, make_bars: MakeBars) -> None:
    bars = make_bars("META", last=date(2012, 8, 15))
    with client(app) as found:
        sent = found.post("/v1/forecasts", json={"symbol": "META", "as_of": "2012-08-15", "bars": bars_of(bars)})
        assert found.get(sent.json()["url"]).json()["status"] == "forecast"
        assert found.get("/v1/forecasts/META").json()["last_close"] == pytest.approx(bars.last_close)
    assert len(app.tables.read("prices", {"symbol": "META"})) == len(bars)


def test_what_is_not_stored_is_the_same_forecast_and_leaves_no_trace(app: App, make_bars: MakeBars) -> None:
    bars = make_bars("META", last=date(2012, 8, 15))
    asked = {"symbol": "META", "as_of": "2012-08-15", "bars": bars_of(bars)}
    with client(app) as found:
        at_once = found.post("/v1/forecasts?store=false", json=asked).json()
        assert app.store.names("ohlc/") == []
        assert app.tables.read("ingestions").empty
        stored = found.get(found.get(found.post("/v1/forecasts", json=asked).json()["url"]).json()["url"]).json()
    assert (at_once["object"], at_once["generation"]) == ("", "")
    for one, other in zip(at_once["forecast"], stored["forecast"], strict=True):
        assert one == pytest.approx(other, rel=1e-6) if isinstance(one, float) else one.keys() == other.keys()
        assert one["close_lo_95"] == pytest.approx(other["close_lo_95"], rel=1e-6)


def test_what_is_not_stored_is_of_the_date_that_was_asked_for_and_else_of_today(served: Client) -> None:
    days = [{"as_of": "2012-08-13"}, {}]
    made = [served.post("/v1/forecasts?store=false", json={"symbol": "MSFT", **day}).json() for day in days]
    assert [(each["as_of"], each["cutoff"]) for each in made] == [
        ("2012-08-13", "2012-08-13"),
        ("2012-08-16", "2012-08-15"),  # the session of the 16th has not closed
    ]
    assert "left out: the session of 2012-08-16 had not closed" in made[1]["findings"]


def test_what_is_not_stored_knows_the_results_days_that_are_stored(
    app: App, make_bars: MakeBars, workspace: Path
) -> None:
    days = "date,session,known_at\n2012-04-25,after,\n2012-07-25,after,\n2012-08-21,after,2012-08-01\n"
    app.provision()
    (workspace / "META.csv").write_text(days)
    app.fetch_events("META", source=str(workspace / "META.csv"))
    asked = {"symbol": "META", "as_of": "2012-08-15", "bars": bars_of(make_bars("META", last=date(2012, 8, 15)))}
    with client(app) as found:
        at_once = found.post("/v1/forecasts?store=false", json=asked).json()
        stored = found.get(found.get(found.post("/v1/forecasts", json=asked).json()["url"]).json()["url"]).json()
    assert at_once["results"] == stored["results"]
    assert at_once["results"]["date"] == "2012-08-21"
    assert at_once["forecast"][-1]["close_hi_80"] == pytest.approx(stored["forecast"][-1]["close_hi_80"], rel=1e-6)


def test_what_is_not_stored_says_what_was_not_measured(
    app: App, make_bars: MakeBars, monkeypatch: pytest.MonkeyPatch
) -> None:
    model: Any = catalogue.load_bundle(app.models.shipped)
    model.card = model.card.model_copy(update={"metrics": {}})
    monkeypatch.setattr(app, "_champion_cache", lambda _: lambda: [Served(model, Role.CHAMPION)])
    asked = {"symbol": "^FTSE", "as_of": "2012-08-15", "bars": bars_of(make_bars("^FTSE", last=date(2012, 8, 15)))}
    with client(app) as found:
        at_once = found.post("/v1/forecasts?store=false", json=asked).json()
    assert "not measured for this class" in at_once["findings"]


def test_hours_are_in_order_and_each_of_their_origins_can_be_named(workspace: Path) -> None:
    bars = make_hours(hours=900)
    settings = Settings(bucket=f"file://{workspace}/bucket", warehouse=f"duckdb://{workspace}/warehouse.duckdb")
    app = App(settings, now=lambda: bars.end.replace(tzinfo=UTC) + timedelta(minutes=5))
    table(bars).to_csv(workspace / "BTCUSDT.csv", index=False)
    ends = [bars.end - timedelta(hours=2), bars.end]
    for end in ends:
        app.upload(workspace / "BTCUSDT.csv", f"{end:%Y-%m-%d %H:%M}", frequency="1h")
    with client(app) as found:
        rows = found.get("/v1/indicators/BTCUSDT?frequency=1h&sessions=30").json()
        description = found.get("/openapi.json").json()
        made = [
            found.get(f"/v1/forecasts/BTCUSDT?frequency=1h&cutoff={end:%Y-%m-%dT%H:%M}").json()["cutoff_at"]
            for end in ends
        ]
        absent = [
            found.get(f"/v1/{path}").json()["detail"]
            for path in ("forecasts/BTCUSDT", "forecasts/btcusdt?model=ewma-t", "skill/BTCUSDT", "odds/BTCUSDT?above=3")
        ]
        bars_of_days = found.get("/v1/indicators/BTCUSDT").json()["detail"]
    closed = [datetime.fromisoformat(row["closed_at"]).replace(tzinfo=None) for row in rows]
    assert closed == [bars.end - timedelta(hours=hours) for hours in range(29, -1, -1)]
    assert rows[0].keys() == description["components"]["schemas"]["Indicators"]["properties"].keys()
    assert [datetime.fromisoformat(moment).replace(tzinfo=None) for moment in made] == ends
    none = "BTCUSDT has no forecast at frequency 1d: one was needed. Request it."
    assert set(absent) == {f"{none} Its hourly forecasts are at /v1/forecasts/BTCUSDT?frequency=1h."}
    assert bars_of_days == (
        "BTCUSDT has no bars at frequency 1d: a symbol that /v1/symbols lists at that frequency was needed. Name one, "
        "or the other frequency."
    )


def test_a_caller_is_not_told_where_the_server_keeps_its_things(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> None:
        raise EngineUnusable(f"{app.settings.warehouse} is full, and {app.settings.home_folder}/x too. Free space.")

    with client(app) as found:
        monkeypatch.setattr(app, "tokens", full)
        answered = found.get("/readyz")
    assert answered.json()["detail"] == "The warehouse is full, and the server's folder/x too. Free space."


def test_what_is_damaged_in_the_store_is_no_fault_of_the_callers(app: App, make_bars: MakeBars) -> None:
    app.provision()
    app.models.store.write("models/champion.json", b"{}")
    asked = {"symbol": "META", "as_of": "2012-08-15", "bars": bars_of(make_bars("META", last=date(2012, 8, 15)))}
    with client(app) as found:
        answers = [found.get("/readyz"), found.post("/v1/forecasts?store=false", json=asked)]
    for answered in answers:
        assert (answered.status_code, "retry-after" in answered.headers) == (503, False)
        assert answered.json()["detail"].startswith("models/champion.json in the bucket does not parse")


def test_the_call_after_the_last_one_says_how_many_there_were(app: App) -> None:
    _, text = app.create_token("desk", [Scope.READ], per_month=2)
    with client(app) as found:
        answers = [found.using(text).get("/v1/symbols") for _ in range(3)]
    assert [(each.status_code, each.headers["ratelimit-limit"]) for each in answers] == [(200, "2")] * 2 + [(429, "2")]


def test_what_cannot_be_forecast_is_refused_at_once_and_leaves_no_trace(app: App, make_bars: MakeBars) -> None:
    bars = make_bars("META", last=date(2012, 8, 15))
    few, odd = bars_of(bars)[-5:], bars_of(bars)[-1:]
    odd[0]["high"] = odd[0]["low"] / 2  # type: ignore[operator]
    asked: list[dict[str, object]] = [
        {"symbol": "META", "as_of": "2012-08-15", "bars": few},
        {"symbol": "META", "as_of": "2012-08-15", "bars": odd},
        {"symbol": "META", "as_of": "2012-10-15", "bars": bars_of(bars)},
        {"symbol": "BTC-USD", "as_of": "2012-08-15", "bars": bars_of(bars)},
        {"symbol": "FB", "as_of": "2012-08-16"},
        {"symbol": "MSFT", "as_of": "1991-01-02"},
    ]
    with client(app) as found:
        stored, unstored = (
            [found.post(f"/v1/forecasts?store={store}", json=each) for each in asked] for store in ("true", "false")
        )
    assert {each.status_code for each in (*stored, *unstored)} == {422}
    assert [each.json()["detail"] for each in stored] == [each.json()["detail"] for each in unstored]
    assert stored[0].json()["detail"].startswith("META has 5 sessions up to 2012-08-15, and the model needs 91.")
    assert stored[4].json()["detail"].startswith("FB has 62 sessions up to 2012-08-15, and the model needs 91.")
    assert app.store.names("") == app.store.names("models/")
    assert (app.failed_ingestions(), app.quarantined()) == ([], [])


def test_a_ticket_of_a_file_that_was_rejected_gives_the_reason(app: App, make_bars: MakeBars, workspace: Path) -> None:
    make_bars("META", last=date(2012, 8, 15), sessions=5).frame.to_csv(workspace / "META.csv", index=False)
    sent = app.upload(workspace / "META.csv", "2012-08-15")
    with client(app) as found:
        state = found.get(f"/v1/tickets/{_ticket(sent.object, sent.generation)}").json()
    assert (state["status"], state["url"]) == ("rejected", None)
    assert state["reason"].startswith("META has 5 sessions up to 2012-08-15")


# ---------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/v1/forecasts/ZZZ", 404, "ZZZ has no forecast"),
        ("/v1/forecasts/MSFT?cutoff=2001-01-02", 404, "from 2001-01-02"),
        (
            "/v1/forecasts/MSFT?model=ewma-t",
            404,
            "by ewma-t at frequency 1d: one by random-walk or tickercast-lstm was",
        ),
        ("/v1/forecasts/MSFT?model=EWMA-T&cutoff=2012-08-15", 404, "from 2012-08-15 by EWMA-T at frequency 1d: one by"),
        ("/v1/forecasts/ZZZ?model=ewma-t", 404, "ZZZ has no forecast at frequency 1d: one was needed. Request it."),
        ("/v1/forecasts/MSFT?cutof=2012-08-15", 422, "'cutof' is no parameter here"),
        (
            "/v1/forecasts/MSFT?cutoff=2012-08-15&cutoff=2023-07-21",
            422,
            "cutoff is given 2 times, and once was",
        ),
        ("/v1/forecasts/MSFT?token=a&token=b", 422, "token is given 2 times, and once was needed. Leave out all but"),
        (
            "/v1/forecasts/MSFT?cutoff=soon",
            422,
            "query.cutoff is 'soon': a date of the calendar written YYYY-MM-DD, or of",
        ),
        (
            "/v1/forecasts/MSFT?cutoff=1812-06-24",
            422,
            "query.cutoff is '1812-06-24': a date from 1900 to 2100 was needed",
        ),
        ("/v1/forecasts/MSFT?frequency=5m", 422, "query.frequency is '5m': '1d' or '1h' was needed. Correct it"),
        ("/v1/forecasts/MSFT?format=xml", 422, "query.format is 'xml': 'json' or 'csv' was needed"),
        (f"/v1/forecasts/MSFT?model={'x' * 90}", 422, "query.model has a length of 90: at most 80 was needed"),
        ("/v1/indicators/MSFT?sessions=2.5", 422, "query.sessions is '2.5': a whole number was needed"),
        (f"/v1/indicators/MSFT?sessions={'9' * 5000}", 422, "999': a number of fewer digits was needed"),
        ("/v1/indicators/MSFT?sessions=9999", 422, "query.sessions is '9999': at most 5,000 was needed"),
        ("/v1/odds/MSFT?above=x", 422, "query.above is 'x': a number was needed"),
        ("/v1/indicators/MSFT?last=0", 422, "a date of the calendar written YYYY-MM-DD was needed"),
        ("/v1/indicators/MSFT?first=2012-02-30", 422, "a date of the calendar written YYYY-MM-DD was needed"),
        ("/v1/indicators/MSFT?last=2101-01-01", 422, "query.last is '2101-01-01': a date from 1900 to 2100 was needed"),
        ("/v1/indicators/MSFT?first=1344556800", 422, "a date of the calendar written YYYY-MM-DD was needed"),
        ("/v1/odds/MSFT?below=5e-324", 422, "query.below is '5e-324': at least 0.000000000001 was needed"),
        ("/v1/forecasts/%24%24", 422, "'$$' is not a symbol"),
        ("/v1/indicators/ZZZ", 404, "ZZZ has no bars"),
        ("/v1/odds/ZZZ?above=3", 404, "ZZZ"),
        ("/v1/skill/ZZZ", 404, "ZZZ has no forecast"),
        ("/v1/skill/MSFT?frequency=1h", 404, "makes one. Its daily forecasts are at /v1/forecasts/MSFT?frequency=1d."),
        ("/v1/skill/AAPL", 404, "No forecast of AAPL at frequency 1d that counts has come true yet: one was needed."),
        ("/v1/indicators/MSFT?first=2012-08-16", 404, "MSFT has no bars in that range: it has them from "),
        ("/v1/indicators/MSFT?last=1912-08-16", 404, " to 2012-08-15. Name other dates."),
        ("/v1/indicators/MSFT?first=2012-01-02&last=2011-01-03", 422, "Swap them"),
        ("/v1/odds/MSFT", 422, "No price was named"),
        ("/v1/odds/MSFT?above=31&below=29", 422, "Swap them"),
        ("/v1/odds/MSFT?above=nan", 422, "query.above is 'nan': a finite number was needed"),
        ("/v1/tickets/xyz", 404, "ticket is not known"),
        ("/v1/tickets/b2hsYy8yMDEyLTA4LTE1L0lCTS5jc3YjNx", 404, "ticket is not known"),  # decodes to the next one's
        ("/v1/tickets/b2hsYy8yMDEyLTA4LTE1L0lCTS5jc3YjNw==", 404, "ticket is not known"),
        ("/v1/tickets/b2hsYy8yMDEyLTA4LTE1L0lCTS5jc3YjNw", 404, "holds no ohlc/2012-08-15/IBM.csv at generation 7"),
        ("/v1/nothing", 404, "no such address"),
        ("/v1/overview/", 404, "no such address"),
        ("/v1/forecasts/MSFT?cutoff=2012-08-15T20:00", 422, "of daily bars a day was needed"),
        ("/v1/forecasts/BTCUSDT?frequency=1h&cutoff=2012-08-15T20:00", 404, "has no forecast from 2012-08-15 20:00"),
        (
            "/v1/forecasts/BTCUSDT?frequency=1h&cutoff=2012-08-15T20",
            422,
            "or of hours a moment YYYY-MM-DDTHH:MM",
        ),
    ],
)
def test_every_error_is_one_sentence_in_the_form_of_rfc_9457(served: Client, path: str, status: int, said: str) -> None:
    answered = served.get(path)
    assert (answered.status_code, answered.headers["content-type"]) == (status, "application/problem+json")
    problem = answered.json()
    assert problem.keys() == {"type", "title", "status", "detail", "instance"}
    assert said in problem["detail"]
    assert answered.headers["cache-control"] == "no-store"


BAR = b'{"date": "2012-08-15", "open": 9, "high": 12, "low": 7, "close": 8}'


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"{", 400, "no JSON"),
        (b"[]", 422, "body is []: an object was needed"),
        (b'"x"', 422, "body is 'x': an object was needed"),
        (b"", 422, "body is missing: it was needed. Add it"),
        (
            b'{"symbol": "MSFT", "as_of": "1344988800"}',
            422,
            "is '1344988800': a date of the calendar written YYYY-MM-DD",
        ),
        (b'{"symbol": "MSFT", "as_of": 20120815}', 422, "is 20120815: a date of the calendar written YYYY-MM-DD was"),
        (b'{"symbol": "MSFT", "as_of": "2150-01-01"}', 422, "is '2150-01-01': a date from 1900 to 2100 was needed"),
        (b"{}", 422, "body.symbol is missing: it was needed. Add it"),
        (b'{"symbol": null}', 422, "body.symbol is null: a text was needed"),
        (
            b'{"symbol": "MSFT", "when": 1}',
            422,
            "body.when has no meaning: a word that /openapi.json lists was needed. ",
        ),
        (b'{"symbol": "MSFT", "' + b"w" * 9000 + b'": 1}', 422, "body.wwwwww"),
        (
            b'{"symbol": "MSFT", "symbol": "AAPL"}',
            422,
            "body: 'symbol' is given 2 times in one object, and once was needed. Leave out all but one.",
        ),
        (b'{"symbol": "MSFT", "bars": [{"open": 1, "open": 1}]}', 422, "body: 'open' is given 2 times in one object"),
        (b"[" * 100_000, 400, "no JSON"),
        (b'{"symbol": "\xff"}', 400, "no JSON"),
        (b'{"symbol": "??"}', 422, "'??' is not a symbol"),
        (b'{"symbol": "QQQQ", "as_of": "2012-08-15"}', 422, "server's source of prices does not know QQQQ: bars, or"),
        (b'{"symbol": "MSFT", "bars": []}', 422, "body.bars has a length of 0: at least 1 was needed"),
        (
            b'{"symbol": "MSFT", "bars": [%s]}' % b",".join([BAR] * 5001),
            422,
            "a length of 5,001: at most 5,000 was needed",
        ),
        (b'{"symbol": "MSFT", "bars": {}}', 422, "body.bars is {}: a list was needed"),
        (b'{"symbol": "MSFT", "bars": [1]}', 422, "body.bars.0 is 1: an object was needed"),
        (b'{"symbol": "MSFT", "bars": [%s]}' % BAR.replace(b"9", b'"9"'), 422, "open is '9': a number was needed"),
        (b'{"symbol": "MSFT", "bars": [%s]}' % BAR.replace(b"9", b"true"), 422, "open is true: a number was needed"),
        (b'{"symbol": "MSFT", "bars": [{"date": "2012-08-15"}]}', 422, "body.bars.0.open is missing"),
    ],
)
def test_a_body_that_does_not_fit_is_refused(served: Client, body: bytes, status: int, said: str) -> None:
    answered = served.post("/v1/forecasts", content=body, headers={"Content-Type": "application/json"})
    assert (answered.status_code, said in answered.json()["detail"]) == (status, True), answered.text
    assert len(answered.json()["detail"]) < 300


def test_bars_of_which_some_lack_an_adjusted_close_are_refused_with_their_count(
    served: Client, make_bars: MakeBars
) -> None:
    bars = bars_of(make_bars("META", last=date(2012, 8, 15), sessions=120))
    del bars[7]["adj_close"]
    for store in ("true", "false"):
        answered = served.post(f"/v1/forecasts?store={store}", json={"symbol": "META", "bars": bars})
        assert (answered.status_code, answered.json()["detail"]) == (
            422,
            f"body.bars: adj_close is missing in 1 of 120 bars, the first of {bars[7]['date']}: it was needed in "
            "all or in none. Add it, or leave it out of all.",
        )


def test_stale_bars_are_refused_without_a_word_of_files_and_sources(served: Client, make_bars: MakeBars) -> None:
    bars = bars_of(make_bars("META", last=date(2012, 6, 15), sessions=120))
    stale = served.post("/v1/forecasts?store=false", json={"symbol": "META", "as_of": "2012-08-15", "bars": bars})
    bars[-1]["high"] = bars[-1]["low"] / 2
    odd = served.post(
        "/v1/forecasts?store=false", json={"symbol": "META", "as_of": "2012-06-15", "bars": bars[-1:] * 1}
    )
    for answered, needed in ((stale, "or get newer bars."), (odd, "Correct the bars and send them again.")):
        assert answered.status_code == 422
        assert answered.json()["detail"].endswith(needed)


def test_the_champion_can_be_asked_for_by_that_word(served: Client) -> None:
    named = served.get("/v1/forecasts/MSFT?model=champion")
    assert (named.status_code, named.json()) == (200, served.get("/v1/forecasts/MSFT").json())


def test_a_source_that_does_not_answer_is_told_without_the_options_of_commands(
    served: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(*_: object, **__: object) -> None:
        raise SourceUnavailable("Yahoo does not answer. Name another source: --source sample.")

    monkeypatch.setattr(app_of(served).market_data(), "fetch", silent)
    for store in ("true", "false"):
        answered = served.post(f"/v1/forecasts?store={store}", json={"symbol": "MSFT", "as_of": "2012-08-15"})
        assert (answered.status_code, answered.json()["detail"]) == (
            503,
            "The server's source of prices does not answer: bars were needed. Try again later, or send bars along.",
        )


def test_a_caller_is_told_neither_the_name_of_the_source_nor_options_of_commands(
    make_bars: MakeBars, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workspace)
    (workspace / "prices").mkdir()
    frame = make_bars("META", last=date(2012, 8, 15)).frame.rename(columns={"session_date": "date"})
    frame.to_csv("prices/META.csv", index=False)
    app = App(application(workspace).settings.model_copy(update={"source": "prices"}), now=lambda: AT)
    old, now = ({"symbol": "META", "as_of": f"{day}"} for day in (date(1990, 12, 28), AT.date()))
    with client(app) as found:
        answers = [found.post(f"/v1/forecasts?store={store}", json=old) for store in ("true", "false")]
        (workspace / "prices" / "META.csv").write_text("<html>")
        broken = [found.post(f"/v1/forecasts?store={store}", json=now) for store in ("true", "false")]
        (workspace / "prices" / "META.csv").unlink()
        broken += [found.post(f"/v1/forecasts?store={store}", json=now) for store in ("true", "false")]
    first = frame["date"].min().date()
    assert [(each.status_code, each.json()["detail"]) for each in answers] == 2 * [
        (
            422,
            f"The server's source of prices has META from {first} to 2012-08-15, and a bar on or before 1990-12-28 was "
            "needed. Name a date that it has.",
        )
    ]
    assert [(each.status_code, each.json()["detail"]) for each in broken] == 4 * [
        (
            503,
            "The server cannot fetch bars of META, which were needed; its log says why. Send bars along, or tell "
            "whoever runs the server.",
        )
    ]


def test_a_source_without_an_answer_for_a_date_is_no_fault_of_the_server(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app.market_data(), "fetch", lambda *_, **__: Reading({}, {}))
    asked = {"symbol": "MSFT", "as_of": "2012-08-15"}
    with client(app) as found:
        answers = [found.post(f"/v1/forecasts?store={store}", json=asked) for store in ("true", "false")]
    assert [(each.status_code, each.json()["detail"]) for each in answers] == 2 * [
        (422, "The source has no bars of MSFT up to 2012-08-15. Name another symbol or date.")
    ]


def test_a_callers_remedies_are_no_commands_of_the_servers_terminal(
    app: App, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    app.forecast("MSFT", "2012-08-15")
    [rejected] = app.entries_of(app.stored_forecast("MSFT").made.object, app.stored_forecast("MSFT").made.generation)
    reason = f"{app.settings.warehouse} was full. When that is fixed: tickercast replay ohlc/2012-08-15/MSFT.csv."
    late = "companion: ewma-t made no forecast: it was late. Name fewer in TICKERCAST_MODELS; gap: none of 2012-08-14"
    rejected = replace(rejected, status="rejected", reason=reason, findings=late)
    stored, [row] = app.stored_forecast("MSFT"), app.overview()

    def unprovisioned() -> None:
        raise Outdated(f"{app.settings.warehouse} lacks views. Run `tickercast provision`, which keeps every row.")

    monkeypatch.setattr(app, "entries_of", lambda *_: [rejected])
    monkeypatch.setattr(
        app, "stored_forecast", lambda *_, **__: replace(stored, made=replace(stored.made, findings=late))
    )
    monkeypatch.setattr(app, "overview", lambda: [replace(row, findings=late)])
    with client(app) as found:
        state = found.get("/v1/tickets/b2hsYy8yMDEyLTA4LTE1L01TRlQuY3N2IzE").json()
        said = [state, found.get("/v1/forecasts/MSFT").json(), *found.get("/v1/overview").json()]
        monkeypatch.setattr(app, "tokens", unprovisioned)
        down = found.get("/readyz").json()
    assert state["reason"] == "The warehouse was full. Whoever runs the server has to act."
    kept = "companion: ewma-t made no forecast: it was late; gap: none of 2012-08-14"
    assert [each["findings"] for each in said] == [kept] * 3
    assert down["detail"] == "The warehouse lacks views. Whoever runs the server has to act."
    assert "Run `tickercast provision`" in caplog.text


def test_json_without_its_content_type_is_refused_with_what_was_needed(served: Client) -> None:
    answered = served.post("/v1/forecasts", content=b'{"symbol": "MSFT"}')
    assert (answered.status_code, answered.json()["detail"]) == (
        422,
        "The body was not read as JSON: the header Content-Type: application/json was needed. Send it along.",
    )


@pytest.mark.parametrize(
    ("method", "path", "allowed", "said"),
    [
        ("DELETE", "/v1/forecasts/MSFT", "GET, HEAD", "GET or HEAD was needed"),
        ("DELETE", "/openapi.json", "GET, HEAD", "GET or HEAD was needed"),
        ("HEAD", "/v1/forecasts", "POST", ""),
    ],
)
def test_other_methods_are_named(served: Client, method: str, path: str, allowed: str, said: str) -> None:
    answered = served.request(method, path)
    assert (answered.status_code, answered.headers["allow"], said in answered.text) == (405, allowed, True)


def in_pieces(count: int, taken: list[int]) -> AsyncIterator[bytes]:
    """A body of pieces of 1 MB, which notes each that is asked for."""

    async def made() -> AsyncIterator[bytes]:
        for number in range(count):
            taken.append(number)
            yield b" " * 1_000_000

    return made()


def test_a_body_that_is_too_large_is_refused_before_it_is_read(served: Client) -> None:
    taken: list[int] = []
    answered = served.post("/v1/forecasts", content=in_pieces(9, taken), headers={"Content-Length": "9000000"})
    assert (answered.status_code, answered.headers["content-type"], taken) == (413, "application/problem+json", [])


@pytest.mark.parametrize(("pieces", "status", "read"), [(8, 400, 8), (20, 413, 9)])
def test_a_body_that_does_not_say_its_size_is_read_up_to_the_limit(
    served: Client, pieces: int, status: int, read: int
) -> None:
    taken: list[int] = []
    kind = {"Content-Type": "application/json"}
    answered = served.post("/v1/forecasts", content=in_pieces(pieces, taken), headers=kind)
    assert (answered.status_code, len(taken)) == (status, read)


def test_work_that_takes_too_long_is_given_up(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    app.provision()
    with client(app) as found:
        found.door.inside.state.service.limit_s = 0.0
        answered = found.get("/v1/symbols")
    assert (answered.status_code, answered.headers["retry-after"]) == (503, "10")


def test_an_engine_that_does_not_answer_is_worth_another_try(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    def down() -> None:
        raise StoreUnavailable("The bucket does not answer. Try again.")

    with client(app) as found:
        assert found.get("/readyz").json() == {"status": "ok"}
        monkeypatch.setattr(app, "tokens", down)
        answered = found.get("/readyz")
        assert (answered.status_code, answered.headers["retry-after"]) == (503, "5")
        assert answered.json()["detail"] == "The bucket does not answer. Try again."
        assert found.get("/healthz").json() == {"status": "ok"}


def test_a_fault_of_our_own_shows_no_traceback(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    app.provision()
    monkeypatch.setattr(type(app), "overview", lambda _: 1 / 0)
    with client(app) as found:
        answered = found.get("/v1/overview")
    assert (answered.status_code, answered.headers["content-type"]) == (500, "application/problem+json")
    assert "division" not in answered.text


# ---------------------------------------------------------------- measures and usage


def test_prometheus_reads_requests_latency_freshness_and_version(served: Client) -> None:
    served.get("/v1/forecasts/MSFT")
    text = served.get("/metrics").text
    assert 'tickercast_requests_total{method="GET",route="/v1/forecasts/{symbol}",status="200"}' in text
    assert 'tickercast_request_seconds_count{route="/v1/forecasts/{symbol}"}' in text
    assert 'tickercast_champion_info{name="tickercast-lstm",version="1"} 1.0' in text
    newest = app_of(served).tables.read("ingestions")["received_at"].max()
    [age] = re.findall(r"^tickercast_newest_ingestion_age_seconds (.+)$", text, re.MULTILINE)
    assert float(age) == pytest.approx((AT - newest).total_seconds())


def test_usage_is_appended_in_bundles_and_counted_once(app: App) -> None:
    _, text = app.create_token("desk", [Scope.READ], per_month=1000)
    app.forecast("MSFT", "2012-08-15")
    with client(app) as found:
        desk = found.using(text)
        for _ in range(20):
            desk.get("/v1/forecasts/MSFT")
        desk.get("/v1/forecasts/ZZZ")
        before = desk.get("/v1/usage").json()
        assert (before["calls"], before["not_appended"], before["per_month"]) == ([], 21, 1000)
        found.door.inside.state.service.usage.append(app.tables)
        after = desk.get("/v1/usage").json()
    rows = {(row["route"], row["status"]): row["calls"] for row in after["calls"]}
    assert rows[("/v1/forecasts/{symbol}", 200)] == 20
    assert rows[("/v1/forecasts/{symbol}", 404)] == 1
    stored = app.tables.read("usage")
    assert stored["calls"].sum() == 23  # with the two questions about usage itself
    assert len(stored) == 4
    assert set(stored["owner"]) == {"desk"}
    assert app.usage_by_owner()["calls"].tolist() == [23]


def test_a_refused_call_costs_nothing_and_is_counted_for_its_token(app: App) -> None:
    _, text = app.create_token("desk", [Scope.READ, Scope.FORECAST], per_month=3)
    _, other = app.create_token("reader", [Scope.READ])
    app.forecast("MSFT", "2012-08-15")
    with client(app) as found:
        assert found.get(f"/v1/symbols?format=csv&token={text}").status_code == 403
        assert found.using(other).post("/v1/forecasts", json={}).status_code == 403
        assert found.using("wrong").get("/v1/symbols").status_code == 401
        desk = found.using(text)
        assert [desk.get("/v1/symbols").status_code for _ in range(5)] == [200, 200, 200, 429, 429]
        assert desk.get("/nowhere").status_code == 429
        found.door.inside.state.service.usage.append(app.tables)
    stored = app.tables.read("usage")
    rows = {(row.owner, row.route, row.status): row.calls for row in stored.itertuples()}
    assert rows == {
        ("desk", "/v1/symbols", 200): 3,
        ("desk", "none", 403): 1,
        ("desk", "none", 429): 3,
        ("reader", "none", 403): 1,
    }


def test_an_old_forecast_can_be_asked_for_by_its_cutoff(app: App) -> None:
    app.forecast("MSFT", "2012-08-14")
    app.forecast("MSFT", "2012-08-15")
    with client(app) as found:
        assert found.get("/v1/forecasts/MSFT").json()["cutoff"] == "2012-08-15"
        assert found.get("/v1/forecasts/MSFT?cutoff=2012-08-14").json()["cutoff"] == "2012-08-14"
        walk = found.get("/v1/forecasts/MSFT?model=random-walk").json()
    assert walk["model_name"] == "random-walk"
    assert all(step["close_median"] == walk["last_close"] for step in walk["forecast"])


def test_the_change_of_a_day_is_that_of_the_close(app: App) -> None:
    app.forecast("MSFT", "2012-08-15")
    [row] = app.overview()
    closes = app.tables.read("latest_prices", {"symbol": "MSFT"}).sort_values("session_date")["close"]
    assert row.change == pytest.approx(closes.pct_change().iloc[-1])
    assert row.cutoff == pd.Timestamp("2012-08-15").date()
    assert AT.date() - row.cutoff == timedelta(days=row.age_days)
