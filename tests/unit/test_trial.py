"""One trial forecast tells a model that answers no numbers from one that can be served."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from tests.support.trading import shipped_bundle

from tickercast.app import App
from tickercast.domain.bars import Bars
from tickercast.domain.forecast import Predictor
from tickercast.domain.frequency import DAILY, HOURLY, Frequency
from tickercast.errors import BundleError
from tickercast.jobs.serving.trial import serve_another, try_out
from tickercast.models import catalogue


def shipped(frequency: Frequency) -> Predictor:
    if frequency is DAILY:
        return catalogue.load_bundle(shipped_bundle())
    return catalogue.load_bundle(App().hourly_store.shipped)


class Damaged:
    def __init__(self, model: Predictor, answer: float) -> None:
        self.name, self.version, self.horizon, self.min_sessions = model.name, "9", model.horizon, model.min_sessions
        self._model, self._answer = model, answer

    def predict(self, series: Sequence[Bars]) -> np.ndarray:
        return np.where(np.arange(13) == 12, self._answer, self._model.predict(series))


@pytest.mark.parametrize(("frequency", "every"), [(DAILY, ""), (HOURLY, " --every 1h")])
def test_the_shipped_champions_pass_and_damaged_ones_do_not(workspace: Path, frequency: Frequency, every: str) -> None:
    model = shipped(frequency)
    try_out(model, frequency, serve_another(frequency))
    for answer, why in ((np.nan, "that are not finite"), (np.inf, "that are not finite"), (-90.0, "that fall")):
        with pytest.raises(BundleError, match=f"{model.name} 9 gave quantiles {why}.*: tickercast rollback{every}\\.$"):
            try_out(Damaged(model, answer), frequency, serve_another(frequency))
