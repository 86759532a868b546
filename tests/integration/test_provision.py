"""Provisioning, with the models in the data bucket or in a bucket of their own."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tickercast.app import App
from tickercast.cli import run
from tickercast.domain.cards.model_card import CHAMPION
from tickercast.jobs.operations import provision
from tickercast.jobs.operations.doctor import Check
from tickercast.ports import Warehouse
from tickercast.reading import ledger


def tickercast(*words: str) -> int:
    with pytest.raises(SystemExit) as left:
        run(words)
    return int(left.value.code or 0)


def test_provision_lists_what_is_missing_creates_it_and_then_has_nothing_to_do(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tickercast("provision", "--check") == 1
    assert {"missing  prices", "missing  predicted_prices", f"missing  {CHAMPION}"} <= set(
        capsys.readouterr().out.splitlines()
    )
    assert tickercast("provision") == 0
    assert f", {CHAMPION}, models/champion-1h.json\n" in capsys.readouterr().out
    for words in (["provision"], ["provision", "--check"]):
        assert tickercast(*words) == 0
        assert "have everything that a forecast needs" in capsys.readouterr().out


def test_models_have_a_bucket_of_their_own_where_one_is_set(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TICKERCAST_MODEL_BUCKET", "file://.tickercast/models")
    assert tickercast("forecast", "MSFT", "2012-08-15", "--source", "sample", "--actual") == 0
    app = App()
    assert app.store.names("") == ["ohlc/2012-08-15/MSFT.csv"]
    assert CHAMPION in app.models.store.names("")
    monkeypatch.setenv("TICKERCAST_SOURCE", "sample")
    assert Check("champion", CHAMPION, "tickercast-lstm version 1", True) in App().doctor()


def test_models_are_in_the_bucket_where_no_other_is_set(workspace: Path) -> None:
    app = App()
    assert app.models.url == app.store.url


def test_a_url_of_the_models_that_opens_nothing_is_a_sentence_that_names_the_setting(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TICKERCAST_MODEL_BUCKET", "gs://bucket/folder")
    assert tickercast("provision") == 2
    assert "TICKERCAST_MODEL_BUCKET is 'gs://bucket/folder': gs://BUCKET was needed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("asked", "use"),
    [
        (provision, lambda app: app.make_ready()),
        (ledger, lambda app: ledger.check_kept(app.store, app.tables, ())),
    ],
)
def test_a_bucket_that_another_first_command_fills_meanwhile_is_not_called_lost(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, asked: object, use: Callable[[App], None]
) -> None:
    monkeypatch.setenv("TICKERCAST_SOURCE", "sample")
    app = App()
    app.tables.provision()
    count = ledger.count_entries

    def count_after_the_other(warehouse: Warehouse) -> int:
        monkeypatch.setattr(asked, "count_entries", count)
        App().forecast("MSFT", "2012-08-15")
        return count(warehouse)

    monkeypatch.setattr(asked, "count_entries", count_after_the_other)
    use(app)
    assert len(app.store.names("ohlc/")) == 1


def test_a_champion_is_published_before_there_is_a_ledger(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = App()
    published: list[str] = []
    monkeypatch.setattr(app.tables, "provision", lambda: published.append(app.models.generation()) or [])
    app.provision()
    assert len(published) == 1
    assert published[0]
