"""The function on AWS Lambda, killed at its steps and at any moment, over a bucket of S3; see `faults`."""

import random
from collections.abc import Callable, Iterator

import pytest

pytest.importorskip("botocore", reason="the extra aws is not installed")
pytest.importorskip("moto", reason="moto is not installed")

from tests.support import s3_faults
from tests.support.faults import ALARM, Delivery, Difference, Fault, S3Site

from tickercast.domain.bars import Bars
from tickercast.domain.files.price_files import to_csv

pytestmark = pytest.mark.slow

BAD = b"Date,Open,High,Low,Close\n=cmd|x,1,1,1,1\n"
STEPS = 17  # of an event, or more


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Site]:
    with s3_faults.keys():
        made = S3Site(tmp_path_factory.mktemp("site"))
        yield made
        made.close()


def send(site: S3Site, make_bars: Callable[..., Bars], number: int) -> dict:
    good, bad = make_bars(f"G{number}", sessions=100, seed=number), make_bars(f"S{number}", sessions=9)
    if number % 3 == 2:
        return site.upload(f"ohlc/2023-07-22/B{number}.csv", BAD)
    return site.upload(f"ohlc/2023-07-22/batch-{number:04d}.csv", to_csv([good, bad][: 1 + number % 3]))


def test_kill_9_at_each_step_loses_and_doubles_nothing(site: S3Site, make_bars: Callable[..., Bars]) -> None:
    before = site.tally.kills
    faults = [Fault(step, "kill", after) for step in range(STEPS) for after in (False, True)]
    parts = [faults[first::6] for first in range(6)]
    site.deliver([Delivery(send(site, make_bars, number), part) for number, part in enumerate(parts)])
    assert site.tally.kills - before > len(faults) / 2
    assert site.difference() == Difference()
    assert (site.doubled_writes(), len(site.quarantined())) == (0, 8)


def test_kill_9_at_any_moment_of_doubled_and_reordered_events_loses_and_doubles_nothing(
    site: S3Site, make_bars: Callable[..., Bars]
) -> None:
    chance = random.Random(3)
    new = [
        Delivery(send(site, make_bars, 100 + number), [Fault(chance.randrange(100_000), ALARM)]) for number in range(9)
    ]
    mixed = [*new, *(Delivery(one.event) for one in chance.sample(new, 4))]
    chance.shuffle(mixed)
    before = site.tally.kills
    site.deliver(mixed)
    assert site.tally.kills > before
    assert site.difference() == Difference()
    assert site.doubled_writes() == 0
