"""Bad files: what people, exporters and attackers have sent instead of a CSV of bars."""

import codecs
import gzip
import io
import random
import zipfile
from collections.abc import Callable

HEADER = "Date,Open,High,Low,Close,Adj Close,Volume,Symbol"
GOOD = "\n".join(
    [
        HEADER,
        *(f"2023-07-{day:02d},10,12,9,11,11,1000,MSFT" for day in (3, 5, 6, 7, 10, 11, 12, 13, 14, 17, 18, 19, 20, 21)),
        "",
    ]
)

CELLS = (
    *("", " ", "nan", "NaN", "null", "None", "<NA>", "inf", "-inf", "Infinity", "1e400", "-1e400", "1e-400", "1e308"),
    *("0", "-0", "-1", "0x1A", "1_000", "1,000.5", '"1,000.5"', "1 000", "1.234,56", "١٢٣", "12 USD", "$12", "True"),
    *("9" * 400, "1e", "--1", "+5", "5.", ".5", "0b1", "1j", "12%", "#REF!", "#N/A", "1\u00a0000", "９"),
    *("0000-00-00", "0000-01-01", "0001-01-01", "1677-09-21", "1899-12-31", "9999-12-31", "99999-01-01", "2023-02-30"),
    *("2023-07-21T16:00:00Z", "2023-07-21 16:00:00-04:00", "2023-07-21T25:99", "20230721", "21/07/2023", "45128"),
    *("2023-07-21 00:00:00+99:99", "2023-W29-5", "1690000000", "today", "２０２３-07-21", "2023‐07‐21", "-2023-07-21"),
    *("=cmd|' /C calc'!A0", "=1+1", "@SUM(1)", "+1+1", "-2+3", "=HYPERLINK(0)", "'; DROP TABLE prices; --", "{{7*7}}"),
    *("../../etc/passwd", "MSFT/../../x", "a\\b", "%00", "\r", "\u202eTFSM", "MS\u200bFT", "mſft", "ıbm", "ßß"),
    *("ＭＳＦＴ", "M" * 21, "A" * 100_000, "MSFT.", ".MSFT", "^GSPC", "BRK-B", "msft", " MSFT ", "💸", "\ufeffMSFT"),
    *("\x1b[31m", "\x07", '"', '""', '"open', 'a"b', '"a\nb"', "simulated", "\ufffe", "\x85", "\u2028", "\x1c"),
)  # fmt: skip


def _bomb() -> bytes:
    """Ten megabytes in ten kilobytes."""
    return gzip.compress(b"0" * 10_000_000, mtime=0)


def _zipped() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("MSFT.csv", GOOD * 1000)
    return file.getvalue()


FILES: dict[str, Callable[[], bytes]] = {
    "nothing": bytes,
    "white space": lambda: b" \r\n\t \n",
    "only a byte order mark": lambda: codecs.BOM_UTF8,
    "a byte order mark twice": lambda: codecs.BOM_UTF8 * 2 + GOOD.encode(),
    "UTF-16": lambda: GOOD.encode("utf-16"),
    "UTF-16 without a mark": lambda: GOOD.encode("utf-16-le"),
    "UTF-32": lambda: GOOD.encode("utf-32"),
    "Latin-1": lambda: GOOD.replace("MSFT", "CAFÉ").encode("latin-1"),
    "lone surrogates": lambda: GOOD.encode() + b"\xed\xa0\x80,1,1,1,1,1,1,A\n",
    "a NUL": lambda: GOOD.encode() + b"\0",
    "lone CR": lambda: GOOD.replace("\n", "\r").encode(),
    "CR CR LF": lambda: GOOD.replace("\n", "\r\r\n").encode(),
    "a gzip bomb": _bomb,
    "a zip": _zipped,
    "a quote that never ends": lambda: GOOD.replace("MSFT", '"MSFT', 1).encode(),
    "quotes to the end of a large file": lambda: (HEADER + "\n" + '"' * 1_000_001).encode(),
    "a million columns": lambda: ("a," * 1_000_000 + "\n" + "1," * 1_000_000 + "\n").encode(),
    "a million columns beside those of the contract": lambda: (
        HEADER + "," + "a," * 1_000_000 + "\n2023-07-21,1,1,1,1,1,1,A\n"
    ).encode(),
    "a million values in a row": lambda: (GOOD + "1," * 1_000_000 + "\n").encode(),
    "a line of a million letters": lambda: GOOD.encode() + b"x" * 1_000_000,
    "a header of a million letters": lambda: b"x" * 1_000_000 + b"\n1\n",
    "a price of a million digits": lambda: f"{HEADER}\n2023-07-21,{'1' * 1_000_000},1,1,1,1,1,MSFT\n".encode(),
    "a symbol of a million letters": lambda: f"{HEADER}\n2023-07-21,1,1,1,1,1,1,{'M' * 1_000_000}\n".encode(),
    "a date of a million digits": lambda: f"{HEADER}\n{'2' * 1_000_000},1,1,1,1,1,1,MSFT\n".encode(),
    "twenty thousand symbols": lambda: (
        HEADER + "\n" + "".join(f"2023-07-21,1,1,1,1,1,1,?{number}\n" for number in range(20_000))
    ).encode(),
    "a million empty rows": lambda: GOOD.encode() + b"\n,,,,,,,\n" * 500_000,
    "a page of HTML": lambda: b"<!DOCTYPE html><html><body>Too Many Requests\r\n</body></html>",
    "JSON": lambda: b'{"Date": ["2023-07-21"], "Open": [1]}',
    "semicolons": lambda: GOOD.replace(",", ";").encode(),
}
"""Whole files, made when asked for: some are large."""


def mutated(chance: random.Random) -> bytes:
    """A good file with one to four faults of cells, lines, bytes or encoding."""
    text = GOOD
    for _ in range(chance.randint(1, 3)):
        text = chance.choice((_cell, _cell, _cell, _line, _title))(text, chance)
    return chance.choice((_plain, _plain, _plain, _encoded, _cut))(text, chance)


def _cell(text: str, chance: random.Random) -> str:
    lines = text.split("\n")
    row = chance.randrange(len(lines))
    cells = lines[row].split(",")
    cells[chance.randrange(len(cells))] = chance.choice(CELLS)
    return "\n".join([*lines[:row], ",".join(cells), *lines[row + 1 :]])


def _line(text: str, chance: random.Random) -> str:
    lines = text.split("\n")
    first, second = sorted(chance.randrange(len(lines)) for _ in range(2))
    return "\n".join(chance.choice((lines[:first] + lines[second:], lines[:second] + lines[first:], lines[::-1])))


def _title(text: str, chance: random.Random) -> str:
    title = chance.choice(HEADER.split(","))
    return text.replace(title, chance.choice(("", title.upper(), f" {title} ", "Close", "date", "\ufeff", *CELLS)), 1)


def _plain(text: str, chance: random.Random) -> bytes:
    return text.replace("\n", chance.choice(("\n", "\r\n"))).encode("utf-8", "surrogatepass")


def _encoded(text: str, chance: random.Random) -> bytes:
    return text.encode(chance.choice(("utf-8-sig", "utf-16", "latin-1", "cp1252", "utf-7")), "replace")


def _cut(text: str, chance: random.Random) -> bytes:
    data = bytearray(text.encode("utf-8", "surrogatepass"))
    for _ in range(chance.randint(1, 4)):
        place = chance.randrange(len(data) + 1)
        data[place : place + chance.choice((0, 1, 5))] = bytes(chance.choices(range(256), k=chance.randrange(4)))
    return bytes(data)
