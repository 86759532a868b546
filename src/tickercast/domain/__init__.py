"""The domain: pure functions and values, with no I/O, no clock and no environment."""
