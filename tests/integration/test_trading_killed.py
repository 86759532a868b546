"""Orders are sent once, whatever is killed, lost, refused or reset: our positions are the venue's at the end."""

import uuid
from datetime import timedelta
from pathlib import Path
from random import Random

import pytest
from tests.support.trading_faults import ACCOUNT, DAYS, Killed, Venue, World, compare, disturbed, signalled

from tickercast import engines
from tickercast.config import Settings
from tickercast.domain.trading.orders import OrderReport, Side, Status
from tickercast.errors import LeaseHeld, LeaseLost, UsageError
from tickercast.jobs.daily.lease import Hold
from tickercast.jobs.trading import trade as job
from tickercast.reading.trading import LAPSED, read_trading_events


def test_nothing_is_doubled_or_lost_when_runs_are_killed_and_answers_are_lost(tmp_path: Path) -> None:
    found = disturbed(tmp_path, 5, seed=1, stride=11)
    assert found.kills > 20
    assert found.faults > 3
    assert (found.doubled, found.lost, found.differs) == (0, 0, 0)


def test_an_id_that_is_no_hash_of_the_decision_would_be_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "client_id", lambda *parts: uuid.uuid4().hex[:28] if len(parts) > 1 else "lock" * 3)
    assert disturbed(tmp_path, 2, seed=1, stride=11).doubled > 0


def test_two_runs_at_the_same_time_order_once(tmp_path: Path) -> None:
    for name in ("one", "twin", "calm"):
        (tmp_path / name).mkdir()
    world, calm = World(tmp_path / "one"), World(tmp_path / "calm")
    twin = World(tmp_path / "twin", world.venue)  # whose lock is another's
    twin.warehouse = world.warehouse
    for number, day in enumerate(DAYS[:8]):
        for one in (world, calm):
            one.venue.open_session(day)
        world.trade(13 * number, twin.trade)
        calm.trade()
    found = compare(world, calm)
    assert (found.doubled, found.lost, found.differs) == (0, 0, 0)


def test_a_run_keeps_another_one_of_its_account_out(tmp_path: Path) -> None:
    world = World(tmp_path)
    with pytest.raises(LeaseHeld, match=r"Another run of trading in [a-z]+://[a-z]+ holds the lock"):
        world.trade(20, world.trade)


def test_a_run_that_lost_its_lock_sends_no_further_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("one", "calm"):
        (tmp_path / name).mkdir()
    world, calm = World(tmp_path / "one"), World(tmp_path / "calm")
    for one in (world, calm):
        one.venue.open_session(DAYS[3])
    submit, holds = Venue.submit, list[Hold]()

    def overtaken(venue: Venue, order: job.Order) -> OrderReport:
        [lock] = world.store.names("locks/")
        world.store.write(lock, b"another run's")
        holds[0]._renew()
        return submit(venue, order)

    with monkeypatch.context() as patched:
        patched.setattr(Hold, "keep", lambda hold, over: holds.append(hold))
        patched.setattr(Venue, "submit", overtaken)
        with pytest.raises(LeaseLost):
            world.trade()
    assert len(world.venue.orders) == 1
    world.trade()
    calm.trade()
    assert world.venue.orders == calm.venue.orders
    assert len(calm.venue.orders) == 2


def test_a_process_that_is_killed_by_a_signal_orders_once(tmp_path: Path) -> None:
    found = signalled(tmp_path, 14)
    assert found.kills > 2
    assert (found.doubled, found.lost) == (0, 0)


def test_a_reset_of_the_venue_halts_until_a_person_adopts_what_is_there(tmp_path: Path) -> None:
    world = World(tmp_path)
    for day in DAYS[:3]:
        world.venue.open_session(day)
        world.insist()
    assert world.held()
    world.venue.reset()
    world.venue.open_session(DAYS[3])
    done = world.insist()
    assert done.halt is not None
    assert f"{ACCOUNT} holds 0 " in done.halt.reason
    assert "tickercast trade resume --adopt" in done.halt.reason
    assert done.sent == ()
    again = world.insist()
    assert again.halt == read_trading_events(world.warehouse)[0]
    world.adopt()
    assert world.held() == {}
    world.venue.open_session(DAYS[4])
    assert world.insist().halt is None


def test_a_wanted_change_whose_order_was_refused_is_named_until_the_next_bar(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path)

    def refuse(venue: Venue, order: job.Order) -> None:
        raise job.OrderRefused("The venue will not take it.")

    with monkeypatch.context() as patched:
        patched.setattr(Venue, "submit", refuse)
        refused = {each.planned.symbol for each in world.trade().sent}
    done = world.trade()
    assert not done.sent
    why = "its order of this bar is rejected, and the next bar decides anew"
    assert done.left == dict.fromkeys(refused, why) != {}


def test_a_halt_takes_back_what_a_killed_run_had_sent_and_it_is_not_sent_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path)

    def killed(venue: Venue, order: job.Order) -> None:
        submit(venue, order)
        raise Killed

    submit = Venue.submit
    with monkeypatch.context() as patched:
        patched.setattr(Venue, "submit", killed)
        with pytest.raises(Killed):
            world.trade()
    [name] = world.venue.orders
    assert world.warehouse.read("order_events", {"client_id": name}).empty  # it came, and nobody was told
    assert world.halt() == {ACCOUNT: "1 open order taken back"}
    assert world.halt() == {ACCOUNT: "no order was open"}
    world.resume()
    left = world.insist().left
    assert left == {
        world.venue.orders[name].symbol: "its order of this bar is cancelled, and the next bar decides anew"
    }
    assert world.venue.orders[name].status is Status.CANCELLED
    assert list(world.warehouse.read("order_events", {"client_id": name})["status"]) == ["cancelled"]
    world.venue.open_session(DAYS[1])
    assert world.insist().halt is None
    assert not world.warehouse.read("orders")["client_id"].duplicated().any()


def test_a_halt_stores_what_was_filled_by_then_once(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.insist()
    world.venue.open_session(DAYS[1])
    [became] = world.halt().values()
    assert became.startswith("no open order taken back, ")
    assert became.endswith(" had been filled")
    held = {each.symbol: float(each.quantity) for each in world.venue.positions()}
    assert world.held() == held != {}
    world.resume()
    assert world.insist().halt is None
    assert not world.warehouse.read("fills")["fill_id"].duplicated().any()


def test_an_unknown_position_halts_with_a_sentence(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.insist()
    foreign = world.venue._report(
        job.Order("foreign", "TSLA", Side.BUY, world.venue.price("TSLA")), Status.ACCEPTED, ()
    )
    world.venue.orders["foreign"] = foreign
    world.venue.open_session(DAYS[1])
    done = world.insist()
    assert done.halt is not None
    assert "TSLA, where our fills make 0. Find out who traded there" in done.halt.reason


def test_a_clock_that_is_off_stops_before_anything_is_sent(tmp_path: Path) -> None:
    world = World(tmp_path, Venue(skew=timedelta(hours=1)))
    with pytest.raises(UsageError, match="less than 5 minutes between them were needed"):
        world.trade()
    assert world.warehouse.read("orders").empty
    assert world.venue.orders == {}


def test_an_intent_that_was_never_sent_lapses_once_its_time_is_over(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.venue.orders = _Deaf(world.venue.orders)
    with pytest.raises(job.StatusUnknown, match="It is kept: run tickercast trade again"):
        world.trade()
    world.venue.orders = {}
    [intent] = world.warehouse.read("orders").to_dict("records")
    world.venue.open_session(DAYS[1])
    world.insist()
    events = world.warehouse.read("order_events", {"client_id": intent["client_id"]})
    assert list(events["status"]) == [LAPSED]
    assert intent["client_id"] not in world.venue.orders


class _Deaf(dict[str, OrderReport]):
    """A venue that loses every order and every answer."""

    def __setitem__(self, name: str, report: OrderReport) -> None:
        raise job.StatusUnknown("The answer is lost.")


@pytest.mark.usefixtures("bigquery_server")
def test_the_same_holds_on_bigquery(tmp_path: Path) -> None:
    (tmp_path / "calm").mkdir()
    world, calm = World(tmp_path, Venue(Random(1))), World(tmp_path / "calm")
    world.warehouse = engines.warehouse(Settings(warehouse="bigquery://project/trading"))
    world.warehouse.provision()
    for number, day in enumerate(DAYS[:3]):
        for one in (world, calm):
            one.venue.open_session(day)
            one.insist(10 + number if one is world else -1, 30)
    found = compare(world, calm)
    assert found.kills >= 3
    assert (found.doubled, found.lost, found.differs) == (0, 0, 0)
