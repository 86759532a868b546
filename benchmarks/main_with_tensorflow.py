"""The main command with TensorFlow in the function's place: `main_with_tensorflow.py MODEL.keras ARGUMENTS`."""

import sys
from pathlib import Path

from tickercast import cli
from tickercast.app.ports import Ports
from tickercast.domain.forecast import Role, Served
from tickercast.domain.frequency import DAILY, Frequency


def served_models(ports: Ports, every: Frequency = DAILY) -> list[Served]:
    """Load the Keras model in place of the ONNX model; the bucket is not read."""
    import tensorflow as tf

    from tickercast.models.baselines import RandomWalk
    from tickercast.models.lstm.export import load_keras

    tf.config.run_functions_eagerly(True)  # for a single answer, a graph takes longer to trace than it saves
    return [Served(load_keras(Path(sys.argv[1])), Role.CHAMPION), Served(RandomWalk(), Role.BASELINE)]


Ports.served_models = served_models  # type: ignore[assignment, method-assign]
cli.run(["forecast", *sys.argv[2:]])
