"""A clock that is set to another time and runs on; as a program, the command line by such a clock.

python tests/support/clock.py 2012-12-15T06:00 dashboard --port 8501
"""

import functools
import sys
import time
from datetime import UTC, datetime, timedelta


class Clock:
    """A clock.

    Args:
        moment: the time now, UTC.
    """

    def __init__(self, moment: datetime) -> None:
        self.set(moment)

    def set(self, moment: datetime) -> None:
        """Set it."""
        self._moment, self._since = moment, time.monotonic()

    def __call__(self) -> datetime:
        """The time."""
        return self._moment + timedelta(seconds=time.monotonic() - self._since)

    def time_ns(self) -> int:
        """The time in nanoseconds since 1970, as `time.time_ns`."""
        return round(self().timestamp() * 1e9)


def main() -> None:
    """Run a command at the moment that is named first."""
    from tickercast import cli
    from tickercast.app import App

    moment, *words = sys.argv[1:]
    clock = Clock(datetime.fromisoformat(moment).replace(tzinfo=UTC))
    App.__init__ = functools.partialmethod(App.__init__, now=clock)  # type: ignore[assignment, method-assign]
    cli.run(words)


if __name__ == "__main__":
    main()
