"""The memory that glibc keeps after it was freed; elsewhere nothing here does anything."""

import ctypes
from contextlib import suppress

_M_ARENA_MAX = -8


def share_one_arena() -> None:
    """Let all threads allocate from one place, before there is a second thread.

    A server answers in threads, and each would keep what its largest file took.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)


def give_back() -> None:
    """Let the system have what was freed."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
