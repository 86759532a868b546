"""The direction model as it is served: boosted trees as ONNX, run by onnxruntime without XGBoost."""

from collections.abc import Sequence
from datetime import date

import numpy as np
from numpy.typing import NDArray

from tickercast.domain.bars import Bars
from tickercast.domain.cards.model_card import DIRECTION_KIND, Bundle
from tickercast.domain.hourly.direction_inputs import INPUTS, LEAST, inputs_at
from tickercast.errors import BundleError, TooFewSessions
from tickercast.models.onnx import open_session

INPUT, OUTPUT = "inputs", "probabilities"
"""The graph's input, `(n, len(INPUTS))`, and output, `(n, 2)`: the probabilities of a close that is not higher, and of
one that is."""


class DirectionModel:
    """A bundle that is ready to say how likely the next hour closes higher."""

    def __init__(self, bundle: Bundle) -> None:
        """Load the trees.

        Raises:
            BundleError: the bundle was made for other inputs, or cannot be loaded.
        """
        card = bundle.card
        if card.kind != DIRECTION_KIND or card.features != INPUTS or card.min_sessions < LEAST:
            raise BundleError(
                f"{card.name} {card.version} is of kind {card.kind}, with {len(card.features)} inputs, and one of kind "
                f"{DIRECTION_KIND} with the {len(INPUTS)} inputs of this release was needed. "
                "Publish a version that it trained."
            )
        self.card = card
        self._session = open_session(bundle)
        seen = {
            node.name: tuple(node.shape[1:]) for node in (*self._session.get_inputs(), *self._session.get_outputs())
        }
        if seen.get(INPUT) != (len(INPUTS),) or seen.get(OUTPUT) != (2,):
            raise BundleError(
                f"The graph of {card.name} {card.version} has inputs and outputs {seen}: {INPUT} of {len(INPUTS)} and "
                f"{OUTPUT} of 2 were needed. Serve another version."
            )

    @property
    def name(self) -> str:
        """The registered model's name."""
        return self.card.name

    @property
    def version(self) -> str:
        """The registered version; empty if it is not registered."""
        return self.card.version

    @property
    def trained_through(self) -> date:
        """The last date that it has learned from."""
        return self.card.trained_through

    def predict(self, series: Sequence[Bars]) -> NDArray[np.float64]:
        """The probability that the hour after the last bar closes higher: `(series,)`.

        Raises:
            TooFewSessions: a series is shorter than `LEAST` hours.
        """
        for bars in series:
            if bars.span < LEAST:
                raise TooFewSessions(
                    f"{bars.symbol} has {bars.span} hours of bars: {LEAST} were needed to forecast a direction. "
                    "Give bars that begin earlier."
                )
        return np.array([self.predict_at(bars, np.array([len(bars) - 1]))[0] for bars in series], np.float64)

    def predict_at(self, bars: Bars, at: NDArray[np.intp]) -> NDArray[np.float64]:
        """The probability that the hour after each of some bars closes higher: `(at,)`."""
        return self.probability(inputs_at(bars, at))

    def probability(self, inputs: NDArray[np.float32]) -> NDArray[np.float64]:
        """Run the trees: `(n, len(INPUTS))` to `(n,)`."""
        answer: NDArray[np.float32] = self._session.run([OUTPUT], {INPUT: inputs})[0]
        return answer[:, 1].astype(np.float64)
