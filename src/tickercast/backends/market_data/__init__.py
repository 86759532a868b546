"""Sources of daily bars."""
