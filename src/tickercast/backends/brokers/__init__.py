"""Venues where paper is traded."""
