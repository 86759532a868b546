"""What a forecast is: pure functions and values, with no I/O, no clock and no environment."""
