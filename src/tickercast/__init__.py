"""tickercast: calibrated forecasts of the next ten trading sessions, as a service and as a library.

>>> import tickercast, tempfile
>>> folder = tempfile.mkdtemp()
>>> app = tickercast.open(bucket=f"file://{folder}/bucket", warehouse=f"duckdb://{folder}/warehouse.duckdb")
>>> made = app.forecast(["MSFT", "NOPE"], as_of="2012-08-15", source="sample")
>>> made[0].symbol, made[0].horizon, str(made[0].steps[0].target_date)
('MSFT', 10, '2012-08-16')
>>> list(made.failures)
['NOPE']
>>> app.query("SELECT COUNT(*) AS forecasts FROM champion_forecasts")["forecasts"].tolist()
[10]
"""

from typing import TYPE_CHECKING, Any

from tickercast import errors as errors
from tickercast.version import __version__ as __version__

__all__ = [
    "Bars",
    "Costs",
    "Decision",
    "Forecast",
    "Known",
    "Model",
    "errors",
    "evaluate",
    "load_model",
    "open",
    "read_csv",
    "read_events",
    "read_frame",
]

if TYPE_CHECKING:
    from tickercast.library import (
        Bars,
        Costs,
        Decision,
        Forecast,
        Known,
        Model,
        evaluate,
        load_model,
        read_csv,
        read_events,
        read_frame,
    )
    from tickercast.library import open as open  # noqa: A004


def __getattr__(name: str) -> Any:
    """Import the library when it is first used: the command line needs nothing of it."""
    if name not in __all__:
        raise AttributeError(f"module 'tickercast' has no attribute {name!r}")
    from tickercast import library

    return getattr(library, name)


def __dir__() -> list[str]:
    """The public names, those that are not yet imported too."""
    return [*__all__, "__version__"]
