"""A model that is trained waits for a registry that does not answer."""

from datetime import timedelta
from typing import Any

import pytest
from tests.support.trading import shipped_bundle

from tickercast import logs
from tickercast.errors import StoreUnavailable
from tickercast.jobs.training import registration
from tickercast.jobs.training.registration import register
from tickercast.ports import RunRecord


@pytest.mark.parametrize(("patience", "pauses"), [(timedelta(0), 0), (timedelta(minutes=3), 3)])
def test_a_trained_model_waits_for_a_registry_that_does_not_answer_and_a_limit_ends_that(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, patience: timedelta, pauses: int
) -> None:
    clock = [0.0]
    monkeypatch.setattr(registration.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(registration.time, "sleep", lambda seconds: clock.__setitem__(0, clock[0] + seconds))

    class Away:
        asked = 0

        def register(self, bundle: Any, record: Any) -> Any:
            self.asked += 1
            raise StoreUnavailable("Nobody answered.")

    away, shown = Away(), list[str]()
    with logs.showing(shown.append), pytest.raises(StoreUnavailable, match="Nobody answered"):
        register(away, shipped_bundle(), RunRecord(), patience=patience)
    assert away.asked == pauses + 1
    said = "is trained and waits to be registered: it is tried again each minute"
    assert caplog.text.count(said) == min(pauses, 1)
    assert [said in sentence for sentence in shown] == [True, False] * pauses


def test_a_trained_model_is_registered_once_the_registry_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    class Late:
        def register(self, bundle: Any, record: Any) -> Any:
            if not answering:
                raise StoreUnavailable("Nobody answered.")
            return bundle

    answering = list[float]()
    monkeypatch.setattr(registration.time, "sleep", answering.append)
    assert register(Late(), shipped_bundle(), RunRecord(), patience=timedelta(minutes=2)) == shipped_bundle()
    assert answering == [60.0]
