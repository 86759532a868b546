"""Files of prices, hours and results days: from bytes to bars."""
