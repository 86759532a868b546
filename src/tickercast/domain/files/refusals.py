"""The sentences by which a price file, or a symbol in it, is refused: what was seen, what was needed, what to do.

`docs/price-files.md` lists them, and is generated from here.

>>> str(EMPTY())
'The file is empty: a header and at least one bar were needed. Export it again.'
"""

from collections.abc import Mapping
from dataclasses import dataclass

from tickercast.errors import InvalidBars


@dataclass(frozen=True)
class Refusal:
    """A reason why bars are refused; calling it with what was seen gives the error.

    Attributes:
        seen: the fault and the need, with {places} for quotations of the file.
        remedy: the remedy.
    """

    seen: str
    remedy: str

    def __call__(self, **places: object) -> InvalidBars:
        """Make the error of one file."""
        return InvalidBars(f"{self.seen} {self.remedy}".format_map(places))


# The file.
EMPTY = Refusal("The file is empty: a header and at least one bar were needed.", "Export it again.")
SPREADSHEET = Refusal("The file is {kind}: a CSV or Parquet file was needed.", "Save the sheet as CSV.")
HTML = Refusal("The file is a web page: a CSV or Parquet file was needed.", "Download the data, not the page.")
JSON = Refusal(
    "The file is JSON: a CSV or Parquet file was needed.", "Convert it to CSV, one row a symbol and session."
)
PACKED = Refusal(
    "The file is {kind}: a CSV, as it is or in gzip or zip, or Parquet was needed.", "Unpack it, and send the CSV."
)
OTHER_FORMAT = Refusal("The file is {kind}: a CSV or Parquet file was needed.", "Convert it to CSV or Parquet.")
BINARY = Refusal(
    "The file is binary: a CSV with the header Date,Open,High,Low,Close, or Parquet, was needed.", "Send it as CSV."
)
ENCODING = Refusal(
    "The file is not {encoding} text: a CSV in UTF-8, or in UTF-16 with its byte order mark, was needed.",
    "Save it as CSV in UTF-8.",
)
DAMAGED_ARCHIVE = Refusal(
    "The file begins as {kind} and cannot be unpacked: {seen}.", "Compress it again, or send the CSV."
)
LOCKED_ARCHIVE = Refusal("The zip file is encrypted: one that needs no password was needed.", "Send the CSV in it.")
SEVERAL_FILES = Refusal(
    "The zip file holds {count} files, such as {names}: one was needed.", "Unpack it, and send each file on its own."
)
INFLATED = Refusal(
    "The file is {size:,.0f} MB uncompressed, and at most {most:,.0f} are read.", "Split it into several files."
)
DAMAGED_PARQUET = Refusal(
    "The file begins as Parquet and cannot be read as such: {seen}.", "Write it again, or send it as CSV."
)
TOO_MANY_ROWS = Refusal(
    "The file has {rows:,} rows of {columns:,} columns, and at most {most_rows:,} rows and {most_cells:,} cells are "
    "read.",
    "Split it into several files.",
)
TOO_MANY_SYMBOLS = Refusal(
    "The file has {count:,} symbols, and at most {most:,} are read.", "Split it into several files."
)
TOO_MANY_DATES = Refusal(
    "{column} has {count:,} different dates, and at most {most:,} are read: {bars} bars were needed.",
    "Export it again with the interval of one {interval}.",
)
TOO_MUCH_TEXT = Refusal(
    "The file's cells have {size:,.0f} MB of text, and at most {most:,.0f} MB are read.",
    "Write dates, prices and volumes as such, or split it into several files.",
)
UNPARSED = Refusal("The file does not parse as CSV: {seen}.", "Check its quotes and separators.")
TOO_WIDE = Refusal(
    "The file has {count:,} columns, and at most {most:,} are read: Date, Open, High, Low, Close were "
    "needed, one row a "
    "symbol and session.",
    "Send it so.",
)
RAGGED = Refusal(
    "The row {row!r} has {cells} cells and the header has {titles}: rows as long as the header were needed.",
    "Put numbers with thousands or decimal commas into quotes, or export it again with semicolons.",
)
SHORT = Refusal(
    "The row {row!r} has {cells} cells and the header has {titles}: whole rows were needed.",
    "Export or download it again if it has been cut off, or remove the row if it is a note.",
)
CUT_OFF = Refusal(
    "The file ends in {row!r} without a line end, and {cell!r} is shorter than all others above it: a whole file was "
    "needed.",
    "Export or download it again, or add a line end if it is whole.",
)
CUT_OFF_SYMBOL = Refusal(
    "The file ends in {row!r} without a line end, and {cell!r} may be the beginning of {whole}: a whole file was "
    "needed.",
    "Export or download it again, or add a line end if it is whole.",
)
UNEVEN = Refusal(
    "The file has more than {most:,} rows that are shorter or longer than its header, such as {row!r}: rows as long as "
    "the header were needed.",
    "Export it again.",
)
NO_BAR = Refusal("The file has a header and no bar: at least one row was needed.", "Export it again.")

# Its columns.
TWO_UNITS = Refusal(
    "The file has {seen}: volumes in one unit were needed.", "Write them all in shares, or send a file for each."
)
MISSING_COLUMN = Refusal(
    "The file has no column {missing}: Date, Open, High, Low, Close were needed. It has {seen}.",
    "Add the missing columns, or rename them.",
)
NO_HEADER = Refusal(
    "The file has no header, and its column {column}, such as {seen!r}, may be an adjusted or an average price as well "
    "as a volume: the titles of its columns were needed.",
    "Add them as the first line, such as Date,Open,High,Low,Close,Volume.",
)
HEADERLESS = Refusal(
    "The file has no header: it begins with {row!r}, and the titles of its columns were needed.",
    "Add them as the first line, in the order of its columns, such as {titles}.",
)
RESULTS_DAYS = Refusal(
    "The file holds results days and no prices: Date, Open, High, Low, Close were needed.",
    "Store it with: tickercast events fetch TICKER... --source FILE.",
)
NO_SYMBOL = Refusal(
    "The file has no column Symbol, and its name is no symbol: one of them was needed.",
    "Rename the file to {advice}, or add the column.",
)
DOUBLED_COLUMN = Refusal(
    "The file has more than one column {column}: {seen}. One was needed.",
    "Remove or rename the others; the columns of several tickers need the ticker in their titles.",
)
COLUMN_TYPE = Refusal(
    "The column {column} has the type {type}: {needed} were needed.", "Write it again, or send it as CSV."
)

# Its symbols.
OTHER_SYMBOL = Refusal(
    "The file is named {named}, or that was given for it, and its {column} says {seen}: one and the same symbol was "
    "needed.",
    "Rename the file to {advice}, give {seen} for it, or correct the column.",
)

# Its dates.
NO_DATE = Refusal(
    "{symbol}: {column} {seen!r} is not a date ({count} such row(s)): {form} was needed.",
    "Correct the bars and send them again.",
)
EITHER_ORDER = Refusal(
    "{column} {seen!r} may be day/month or month/day, and so may every other: a day above 12, or YYYY-MM-DD, was "
    "needed.",
    "Write the dates as YYYY-MM-DD.",
)
BOTH_ORDERS = Refusal(
    "{column} has {first!r}, which is day/month, and {second!r}, which is month/day: one order was needed.",
    "Write the dates as YYYY-MM-DD.",
)
NO_SUCH_YEAR = Refusal(
    "{symbol}: {column} {seen!r} is no session ({count} such row(s)): a year from {first} to {last} was needed.",
    "Correct the bars and send them again.",
)
FUTURE = Refusal(
    "{symbol} has {count} bar(s) of days that have not been, the first of {day}: bars up to {today} were needed.",
    "Remove them, or correct their dates.",
)
INTRADAY = Refusal(
    "{symbol} has up to {most} bars a day, {apart} apart: daily bars were needed.",
    "Export it with the interval of one day.",
)
SPARSE = Refusal("{symbol} has one bar a {period}: daily bars were needed.", "Export it with the interval of one day.")
NOT_HOURLY = Refusal(
    "{symbol} has bars {apart} apart: hourly bars were needed.",
    "Export it with the interval of one hour, or give bars of days as daily bars.",
)
OFF_THE_HOUR = Refusal(
    "{symbol} has {count} bar(s) that do not open on the hour, the first at {moment} UTC: hourly bars that end on the "
    "hour were needed.",
    "Give hourly bars, stamped with the UTC hour in which they open.",
)
SWAPPED = Refusal(
    "{symbol} has {count} of {total} bars on days when its exchange was closed, such as {day}, and day and month are "
    "swapped: dates as they are were needed.",
    "Write the dates again from the original, as YYYY-MM-DD.",
)
SWAPPED_IN_PART = Refusal(
    "{symbol} opens {given} from where it had closed before, in the median of {count} bars such as that of {day}, and "
    "{swapped} from it if day and month are swapped there: dates as they are were needed.",
    "Write the dates again from the original, as YYYY-MM-DD.",
)
SHIFTED = Refusal(
    "{symbol} has {count} of {total} bars on days when its exchange was closed, such as {day}: every date is a day too "
    "{direction}.",
    "Write the day at the exchange, without a time zone.",
)
CLOSED_DAYS = Refusal(
    "{symbol} has {count} of {total} bars on days when its exchange {exchange} was closed, such as "
    "{day}{fits}: bars of "
    "its own sessions were needed.",
    "Check the symbol, whose ending names the exchange, and the dates.",
)
MISSING_SESSIONS = Refusal(
    "{symbol} lacks {count} of {total} sessions of its exchange {exchange} from {first} to {last}, such "
    "as {day}{fits}: one "
    "bar a session was needed.",
    "Send the missing bars, or check the symbol, whose ending names the exchange.",
)
DUPLICATE_DATES = Refusal(
    "{symbol} has {count} duplicate date(s) with different prices, first {day}: one bar a session was needed.",
    "Remove the rows that do not count.",
)
DUPLICATE_HOURS = Refusal(
    "{symbol} has {count} duplicate hour(s) with different prices, first {day}: one bar an hour was needed, and "
    "moments in UTC, since a clock that is set back repeats an hour.",
    "Remove the rows that do not count, or write the moments in UTC.",
)

# Its prices.
NO_PRICES = Refusal(
    "{symbol} has {count} row(s), and none has all of {columns}: a bar has them all.",
    "Export it again with its prices.",
)
NO_PRICE = Refusal(
    "{symbol}: {column} {seen!r} of {day} is not a price ({bad} of the {total} bars judged are faulty): a positive "
    "number up to 1e15 was needed.",
    "Correct the bars and send them again.",
)
NO_VOLUME = Refusal(
    "{symbol}: {column} {seen!r} of {day} is not a volume ({bad} of the {total} bars judged are faulty): "
    "a number from 0 "
    "on, or nothing, was needed.",
    "Correct the bars and send them again.",
)
IMPOSSIBLE = Refusal(
    "{symbol}: {column} {seen!r} of {day} does not fit the bar ({bad} of the {total} bars judged are "
    "faulty): low ≤ open, "
    "close ≤ high was needed.",
    "Correct the bars and send them again.",
)
SPIKE = Refusal(
    "{symbol}: {column} {seen!r} of {day} is {factor} times the closes around it ({bad} of the {total} bars judged are "
    "faulty): prices that can be were needed.",
    "Correct the bars and send them again.",
)
OTHER_UNIT = Refusal(
    "{symbol}: {column} {seen!r} of {day} is {factor} times the closes before it, as if some bars were in another "
    "unit, such as pence for pounds: one unit was needed.",
    "Correct those bars, or multiply or divide them by 100.",
)
UNSCALED = Refusal(
    "{symbol} ranges from {low} to {high}: prices of one scale were needed.",
    "Correct the bars and send them again.",
)
SPLIT = Refusal(
    "{symbol} opens on {day} at {move}, near a split of {ratio}, and has no adjusted close: prices on one basis were "
    "needed.",
    "Send the adjusted closes too, in a column Adj Close, or bars that are adjusted for splits.",
)
SPLIT_OF_HOURS = Refusal(
    "{symbol} opens at {day} at {move}, near a split of {ratio}: prices on one basis were needed.",
    "Send bars that are adjusted for splits.",
)
TWO_COMMAS = Refusal(
    "{column} {seen!r} may have a decimal comma or a thousands comma, and so may every other number: one reading was "
    "needed.",
    "Write the numbers with a decimal point and without separators.",
)
TWO_POINTS = Refusal(
    "{column} {seen!r} may have a decimal point or a thousands point, and so may every other number: one reading was "
    "needed.",
    "Write thousands without a point, or three decimals with a further 0, as in 1.2340.",
)
IN_32NDS = Refusal(
    "{column} {seen!r} may be in 32nds, as bonds are quoted, or have thousands apart, and so may every other price: "
    "one reading was needed.",
    "Write the prices with a decimal point and without separators.",
)


def refusals() -> Mapping[str, Refusal]:
    """All of them, by name."""
    return {name: each for name, each in globals().items() if isinstance(each, Refusal)}
