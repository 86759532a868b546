r"""Text from elsewhere, made safe for where it is shown: what is printed is data, never a command, markup or a secret.

>>> printable("a\x1b[31mb\u202ec"), cell("=1+1"), cell("-5.5"), markdown("[x](http://a.b)")
('a\ufffd[31mb\ufffdc', "'=1+1", "'-5.5", '\\[x\\](http\\://a.b)')
>>> without_secrets("postgresql://me:pa/ss@host/db and https://host/?token=abc&a=1")
'postgresql://***@host/db and https://host/?token=***&a=1'
>>> without_mentions("@everyone <!channel> a@b.example"), file_name("../a b/\x1bc.csv")
('＠everyone ‹!channel> a＠b.example', '..-a-b--c.csv')
"""

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

_USER = re.compile(r"(?<=://)[^\s/?#'\"<>@]*(?::[^\s'\"<>]*)?@(?=[\w.\[-])")
_QUERY = re.compile(r"(?i)(?<=[?&])([\w-]*(?:password|passwd|pwd|secret|token|key|signature|sig)=)[^&\s'\"<>]+")
_MARKUP = re.compile(r"([\\`*_{}\[\]<>#+|~$!])")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def printable(text: str) -> str:
    """Text without anything that moves a cursor, colours, hides or reverses letters; line ends stay."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() or one == "\n" else "\N{REPLACEMENT CHARACTER}" for one in text)


def without_secrets(text: str) -> str:
    """Text whose URLs have neither users and passwords nor tokens."""
    return _QUERY.sub(r"\1***", _USER.sub("***@", text)) if "://" in text else text


def cell(text: str) -> str:
    """A text in a cell of a CSV, which a spreadsheet takes for no formula."""
    return f"'{printable(text)}" if text.startswith(_FORMULA) else printable(text)


def csv(rows: "pd.DataFrame") -> str:
    """Rows as CSV, whose texts and titles are no formulas; numbers stay what they are."""
    safe = rows.rename(columns=lambda name: cell(str(name)))
    return str(safe.map(lambda value: cell(value) if isinstance(value, str) else value).to_csv(index=False))


def markdown(text: str) -> str:
    """Text that Markdown shows as it is: no link, picture or heading comes of it."""
    return _MARKUP.sub(r"\\\1", printable(text)).replace("://", "\\://")


def without_mentions(text: str) -> str:
    """Text of a message that calls nobody, whatever the service takes for a mention."""
    return re.sub(r"<(?=[!@#&])", "‹", printable(text)).replace("@", "＠")


def file_name(name: str) -> str:
    """A name that is a file's in every folder."""
    return re.sub(r"[^\w.^=-]", "-", name, flags=re.ASCII) or "file"
