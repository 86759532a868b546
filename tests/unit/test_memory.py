"""Memory that was freed: without glibc, which alone can give it back, nothing happens."""

import ctypes
import platform
import subprocess
import sys
from collections.abc import Callable

import pytest

from tickercast import memory

THREADS = """
import threading
from tickercast import memory
memory.share_one_arena()
wait = threading.Barrier(9)
def hold():
    held = [bytes(1000) for _ in range(1000)]
    wait.wait()
for _ in range(8):
    threading.Thread(target=hold).start()
wait.wait()
import ctypes
ctypes.CDLL(None).malloc_stats()
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc alone has arenas")
def test_threads_share_one_arena() -> None:
    done = subprocess.run([sys.executable, "-c", THREADS], capture_output=True, text=True, check=True)
    assert done.stderr.count("Arena ") == 1


@pytest.mark.parametrize("call", [memory.give_back, memory.share_one_arena])
def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch, call: Callable[[], None]) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    call()
