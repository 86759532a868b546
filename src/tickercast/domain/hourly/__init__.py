"""Hours of coins: their grid, inputs and tables."""
