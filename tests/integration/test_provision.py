"""Making ready what a forecast needs, with the models in the bucket or in one of their own."""

from pathlib import Path

import pytest

from tickercast import config, engines
from tickercast.cli import run
from tickercast.domain.model_card import CHAMPION
from tickercast.jobs.operations import doctor


def tickercast(*words: str) -> int:
    with pytest.raises(SystemExit) as left:
        run(words)
    return int(left.value.code or 0)


def test_provision_says_what_is_missing_makes_it_and_then_has_nothing_to_do(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tickercast("provision", "--check") == 1
    assert {"missing  prices", "missing  predicted_prices", f"missing  {CHAMPION}"} <= set(
        capsys.readouterr().out.splitlines()
    )
    assert tickercast("provision") == 0
    assert f", {CHAMPION}\n" in capsys.readouterr().out
    for words in (["provision"], ["provision", "--check"]):
        assert tickercast(*words) == 0
        assert "have all that a forecast needs" in capsys.readouterr().out


def test_models_have_a_bucket_of_their_own_where_one_is_set(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TICKERCAST_MODEL_BUCKET", "file://.tickercast/models")
    assert tickercast("forecast", "MSFT", "2012-08-15", "--source", "sample", "--actual") == 0
    settings = config.load()
    assert engines.object_store(settings).names("") == ["ohlc/2012-08-15/MSFT.csv"]
    assert CHAMPION in engines.model_store(settings).names("")
    monkeypatch.setenv("TICKERCAST_SOURCE", "sample")
    assert ("champion", CHAMPION, "tickercast-lstm version 1", True) in doctor.checks(config.load())


def test_models_are_in_the_bucket_where_no_other_is_set(workspace: Path) -> None:
    settings = config.load()
    assert engines.model_store(settings).url == engines.object_store(settings).url


def test_a_url_of_the_models_that_opens_nothing_is_a_sentence_that_names_the_setting(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TICKERCAST_MODEL_BUCKET", "gs://bucket/folder")
    assert tickercast("provision") == 2
    assert "TICKERCAST_MODEL_BUCKET is 'gs://bucket/folder': gs://BUCKET was needed" in capsys.readouterr().err
