"""Strategies, their backtests, and trading them on paper."""
