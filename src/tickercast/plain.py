r"""Text from elsewhere, made safe for where it is shown: what is printed is data, never a command, markup or a secret.

>>> printable("a\x1b[31mb\u202ec"), cell("=1+1"), cell("-5.5"), markdown("[x](http://a.b)")
('a\ufffd[31mb\ufffdc', "'=1+1", "'-5.5", '\\[x\\](http\u2060://a.b)')
>>> without_secrets("postgresql://me:pa/ss@host/db and https://host/?token=abc&a=1")
'postgresql://***@host/db and https://host/?token=***&a=1'
>>> without_mentions("@everyone <!channel> a@b.example"), file_name("../a b/\x1bc.csv")
('＠everyone ‹!channel> a＠b.example', '..-a-b--c.csv')
"""

import re
from base64 import b64encode
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

_USER = re.compile(r"(?<=://)[^\s/?#'\"<>@]*(?::[^\s'\"<>]*)?@(?=[\w.\[-])")
_QUERY = re.compile(r"(?i)(?<=[?&])([\w-]*(?:password|passwd|pwd|secret|token|key|signature|sig)=)[^&\s'\"<>]+")
_MARKUP = re.compile(r"([\\`*_{}\[\]<>#+|~$!])")
_LINKED = re.compile(r"(?i)@|www(?=\.)|https?(?=://)")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def printable(text: str) -> str:
    """Text without anything that moves a cursor, colours, hides or reverses letters; line ends stay."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() or one == "\n" else "\N{REPLACEMENT CHARACTER}" for one in text)


def shortened(text: str, longest: int) -> str:
    r"""A message in one line, without the full stop at its end; a longer one is cut between two words.

    >>> shortened("It does not\nfit.", 20), shortened("It does not fit.", 12)
    ('It does not fit', 'It does not …')
    """
    line = " ".join(text.split())
    if len(line) <= longest:
        return line.rstrip(" .!")
    return f"{line[: longest + 1].rpartition(' ')[0] or line[:longest]} …"


def first_of(names: Sequence[str], most: int, separator: str = ", ") -> str:
    """The first names in one line, and how many more there are.

    >>> first_of(["A", "B"], 2), first_of(["A", "B", "C"], 2)
    ('A, B', 'A, B and 1 more')
    """
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return f"{separator.join(names[:most])}{more}"


def without_secrets(text: str) -> str:
    """Text whose URLs have neither users and passwords nor tokens."""
    return _QUERY.sub(r"\1***", _USER.sub("***@", text)) if "://" in text else text


def cell(text: str) -> str:
    """A text in a cell of a CSV, which a spreadsheet takes for no formula."""
    return f"'{printable(text)}" if text.startswith(_FORMULA) else printable(text)


def csv(rows: "pd.DataFrame") -> str:
    """Rows as CSV, whose texts and titles are no formulas; numbers stay what they are, and bytes are base64."""
    safe = _written(rows).rename(columns=lambda name: cell(str(name)))
    return str(safe.map(lambda value: cell(value) if isinstance(value, str) else value).to_csv(index=False))


def json(rows: "pd.DataFrame") -> str:
    """Rows as JSON, one object each: dates as YYYY-MM-DD, moments in ISO 8601, bytes in base64.

    >>> import pandas as pd
    >>> day = pd.Timestamp("2023-07-21")
    >>> table = pd.DataFrame({"day": [day], "at": [day.tz_localize("UTC")], "data": [b"ab"], "none": [None]})
    >>> json(table).split()
    ['[', '{', '"day":"2023-07-21",', '"at":"2023-07-21T00:00:00.000Z",', '"data":"YWI=",', '"none":null', '}', ']']
    """
    text = _written(rows).to_json(orient="records", date_format="iso", double_precision=15, indent=2)
    return f"{text}\n"


def _written(rows: "pd.DataFrame") -> "pd.DataFrame":
    """Rows whose dates and bytes are texts. Engines give dates as midnights without a time zone."""
    made = rows.copy()
    for number, dtype in enumerate(rows.dtypes):
        values = rows.iloc[:, number]
        known = values.dropna()
        if dtype.kind == "M" and getattr(dtype, "tz", None) is None and (known == known.dt.normalize()).all():
            made.isetitem(number, [None if day != day else f"{day:%Y-%m-%d}" for day in values])
        elif dtype.kind == "O":
            made.isetitem(
                number, [b64encode(one).decode() if isinstance(one, bytes | bytearray) else one for one in values]
            )
    return made


def markdown(text: str) -> str:
    """Text that Markdown shows as it is: no link, picture or heading comes of it.

    A renderer looks for addresses after it has taken escapes away, so a joiner that nobody sees parts them.
    """
    return _LINKED.sub("\\g<0>\N{WORD JOINER}", _MARKUP.sub(r"\\\1", printable(text)))


def without_mentions(text: str) -> str:
    """Text of a message that calls nobody, whatever the service takes for a mention."""
    return re.sub(r"<(?=[!@#&])", "‹", printable(text)).replace("@", "＠")


def file_name(name: str) -> str:
    """A name that is a file's in every folder."""
    return re.sub(r"[^\w.^=-]", "-", name, flags=re.ASCII) or "file"
