"""The forms of a trained network: a predictor, a `.keras` file, and a bundle with an equivalent ONNX graph."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import tensorflow as tf
import tf2onnx
from numpy.typing import NDArray

from tickercast.domain.cards.model_card import Bundle, ModelCard
from tickercast.errors import BundleError
from tickercast.models.lstm.network import Tensor, compiled, signature
from tickercast.models.onnx import OUTPUT, NetworkModel, OnnxModel


@dataclass(frozen=True)
class Trained(NetworkModel):
    """A trained network: a predictor that can be saved and exported.

    Attributes:
        model: (steps, statics) to z.
        card: the model card; `sha256` is empty until the network is exported.
        parameters: the recipe, the seeds, and the loss on the validation blocks.
        curves: the losses by epoch, as `seed_1/val_z_loss`; empty for a network read from a file.
    """

    model: keras.Model
    card: ModelCard
    parameters: Mapping[str, Any]
    curves: Mapping[str, Sequence[float]] = field(default_factory=dict)

    def answer(self, steps: NDArray[np.float32], statics: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run the network; see `NetworkModel.answer`."""
        z: NDArray[np.float32] = self._compiled(steps, statics).numpy()
        return z

    @cached_property
    def _compiled(self) -> Callable[[NDArray[np.float32], NDArray[np.float32]], Tensor]:
        return compiled(self.model)

    def bundle(self) -> Bundle:
        """Export the network to ONNX.

        Raises:
            BundleError: the exported network is invalid, or gives other answers.
        """
        graph = _export(self.model)
        card = self.card.model_copy(update={"sha256": hashlib.sha256(graph).hexdigest()})
        bundle = Bundle(graph, card)
        check_parity(self, bundle)
        return bundle

    def save(self, path: Path) -> None:
        """Write the Keras model to `path`, which ends in .keras, and its card and parameters to a .json beside it."""
        self.model.save(path)
        text = json.dumps({"card": self.card.model_dump(mode="json"), "parameters": dict(self.parameters)}, indent=2)
        path.with_suffix(".json").write_text(text)


def load_keras(path: Path) -> Trained:
    """Read the files that `Trained.save` wrote; nothing is unpickled.

    Raises:
        BundleError: the files do not exist or do not parse.
    """
    try:
        beside = json.loads(path.with_suffix(".json").read_text())
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
        return Trained(model, ModelCard.model_validate(beside["card"]), beside["parameters"])
    except (OSError, ValueError, KeyError) as error:
        raise BundleError(
            f"{path} and its .json do not hold a saved network: {' '.join(str(error).split())[:160]}. Save it again."
        ) from error


def check_parity(trained: Trained, bundle: Bundle) -> None:
    """Compare the output of the ONNX network with that of the Keras network, in batches of 1, 7 and 500.

    Raises:
        BundleError: the outputs differ by more than 1e-5 and by more than 1e-3 of the value.
    """
    random = np.random.default_rng(0)
    model = OnnxModel(bundle)
    for size in (1, 7, 500):
        steps = random.normal(size=(size, *trained.model.inputs[0].shape[1:])).astype(np.float32)
        statics = random.normal(size=(size, *trained.model.inputs[1].shape[1:])).astype(np.float32)
        ours = trained.answer(steps, statics)
        theirs = model.answer(steps, statics)
        if not np.allclose(theirs, ours, rtol=1e-3, atol=1e-5):
            raise BundleError(
                f"The exported network differs from the trained one by up to {np.abs(theirs - ours).max():.1e} in a "
                f"batch of {size}: at most 1e-5 was needed. Report the versions of tensorflow, tf2onnx and onnxruntime."
            )


def _export(model: keras.Model) -> bytes:
    inputs = signature(model)

    @tf.function(input_signature=inputs)  # type: ignore[untyped-decorator]
    def network(steps: Tensor, statics: Tensor) -> Tensor:
        return {OUTPUT: model([steps, statics], training=False)}

    proto, _ = tf2onnx.convert.from_function(network, input_signature=inputs, opset=17)
    try:
        onnx.checker.check_model(proto, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise BundleError(
            f"tf2onnx exported an invalid network: {' '.join(str(error).split())[:160]}. "
            "Install the pinned versions of tensorflow, tf2onnx and onnx."
        ) from error
    return bytes(proto.SerializeToString())
