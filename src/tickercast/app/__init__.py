"""The application: settings become ports, when they are first used, and ports become use cases.

The command line, the forecast function, the flows and the dashboard call an `App` and nothing below it; so does a
notebook, through `tickercast.open`.
"""

from tickercast.app.arguments import checks_arguments
from tickercast.app.hourly import Hourly
from tickercast.app.operations import Operations
from tickercast.app.reports import Reports
from tickercast.app.strategies import variants_of
from tickercast.app.symbols import read_symbols

__all__ = ["App", "read_symbols", "variants_of"]


@checks_arguments
class App(Reports, Operations, Hourly):
    """The use cases over the configured engines; each engine is opened when it is first needed."""
