"""A former champion that goes on forecasting beside the one that replaced it, for comparison."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tickercast.domain.bars import History
from tickercast.domain.forecast import SHADOW, Predictor


class Shadow:
    """Another model's predictions under the name `shadow`, and under that model's version.

    >>> from tickercast.models.random_walk import RandomWalk
    >>> Shadow(RandomWalk()).name, Shadow(RandomWalk()).version
    ('shadow', '1')
    """

    name = SHADOW

    def __init__(self, former: Predictor) -> None:
        self._former = former

    @property
    def version(self) -> str:
        """The version of the model behind it."""
        return self._former.version

    @property
    def min_sessions(self) -> int:
        """The shortest history that it takes."""
        return self._former.min_sessions

    def predict(self, histories: Sequence[History]) -> NDArray[np.float64]:
        """Predicts every history from its last bar; see `Predictor.predict`."""
        return self._former.predict(histories)
