"""The LSTM: examples, network, training, calibration and export. TensorFlow stays in here."""
