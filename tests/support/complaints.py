"""What a command has to say on standard error, whatever the speed of the machine."""

import subprocess

_WAITED = "waiting for "


def complaints(done: subprocess.CompletedProcess[str]) -> list[str]:
    """The lines on standard error but for those on what took longer than a moment, which a busy machine adds."""
    return [line for line in done.stderr.splitlines() if not line.startswith(_WAITED)]
