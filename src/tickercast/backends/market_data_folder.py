"""Market data in files: a folder of CSV and Parquet files, or one such file.

`SYMBOL.csv` and `SYMBOL.parquet`, in any case, hold one symbol. Every other file must have a symbol column and may
hold many symbols; such files are opened only for symbols that have no file of their own.
"""

import csv
import difflib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import pandas as pd

from tickercast.domain.history import History, Reading, read_csv, read_frame
from tickercast.errors import InvalidBars, NoRecentBars, Permanent, UnknownSymbol, UsageError
