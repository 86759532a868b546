"""The containers of a file of prices: gzip, a zip file of one, UTF-8 or UTF-16; and files of other kinds."""

import codecs
import io
import re
import zipfile
import zlib
from collections.abc import Mapping

from tickercast.domain.files import refusals
from tickercast.domain.files.price_limits import LARGEST
from tickercast.domain.text import one_line, shown
from tickercast.errors import InvalidBars

_GZIP, _ZIP, _OLD_EXCEL, _PARQUET = b"\x1f\x8b", b"PK", b"\xd0\xcf\x11\xe0", b"PAR1"
_MARKS = {b"\xef\xbb\xbf": "UTF-8", b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}
_EXCEL, _LIBREOFFICE = "an Excel workbook", "a LibreOffice workbook"
_IN_ZIP = {_EXCEL: "[Content_Types].xml", _LIBREOFFICE: "content.xml", "a Numbers workbook": ".iwa"}
_EXCEL_IN_XML, _LIBREOFFICE_IN_XML = b"urn:schemas-microsoft-com:office:spreadsheet", b"urn:oasis:names:tc:opendocument"
_PACKED = {
    b"\x28\xb5\x2f\xfd": "compressed with Zstandard",
    b"\xfd7zXZ\x00": "compressed with xz",
    b"BZh": "compressed with bzip2",
    b"\x04\x22\x4d\x18": "compressed with LZ4",
    b"7z\xbc\xaf\x27\x1c": "a 7-Zip archive",
    b"Rar!\x1a\x07": "a RAR archive",
}
_OTHERS = {
    b"ARROW1": "an Arrow or Feather file",
    b"Obj\x01": "an Avro file",
    b"\x89HDF\r\n\x1a\n": "an HDF5 file",
    b"SQLite format 3\x00": "an SQLite database",
    b"%PDF-": "a PDF",
}
_TAR, _TAR_AT = b"ustar", 257
_JSON = re.compile(rb"""\{\s*["}]|\[\s*(?:[\[{"\]]|-?\d[^\]\r\n]*[,\r\n])""")
_START = 2000  # bytes
_PART = 1 << 20


def is_parquet(data: bytes) -> bool:
    """Whether a file begins as Parquet does."""
    return data.startswith(_PARQUET)


def unpacked(data: bytes, largest: int = LARGEST) -> bytes:
    """The file in a gzip or zip file, or the file itself.

    Args:
        data: the file.
        largest: bytes that it may have unpacked.

    Raises:
        InvalidBars: the file is damaged, too large, not one file, or none of prices.
    """
    if data.startswith(_GZIP):
        data = _gunzipped(data, largest)
    elif data.startswith(_ZIP):
        data = _unzipped(data, largest)
    if data.startswith((_ZIP, _GZIP)):
        raise refusals.BINARY()
    return data


def decoded(data: bytes) -> bytes:
    """The text of a CSV in UTF-8: in Python's own texts, one rare letter makes all others take four bytes.

    Raises:
        InvalidBars: the file is no text.
    """
    _check_kind(data)
    encoding = next((name for mark, name in _MARKS.items() if data.startswith(mark)), "")
    if not encoding and b"\x00" in data:
        raise refusals.BINARY()
    try:
        text = data.decode("utf-16").encode() if encoding == "UTF-16" else data.removeprefix(codecs.BOM_UTF8)
    except UnicodeError as error:
        raise refusals.ENCODING(encoding=encoding) from error
    if not _is_utf_8(text):
        raise refusals.ENCODING(encoding=encoding or "UTF-8")
    if b"\x00" in text:
        raise refusals.BINARY()
    if not text.strip():
        raise refusals.EMPTY()
    return text


def _check_kind(data: bytes) -> None:
    """Refuse what is no CSV by its beginning."""
    if kind := _kind(data, _PACKED):
        raise refusals.PACKED(kind=kind)
    if data.startswith(_TAR, _TAR_AT):
        raise refusals.PACKED(kind="a tar archive")
    if kind := _kind(data, _OTHERS):
        raise refusals.OTHER_FORMAT(kind=kind)
    start = data[:_START].removeprefix(codecs.BOM_UTF8).lstrip().lower()
    is_xml = start.startswith(b"<?xml")
    if data.startswith(_OLD_EXCEL) or (is_xml and _EXCEL_IN_XML in start):
        raise refusals.SPREADSHEET(kind=_EXCEL)
    if is_xml and _LIBREOFFICE_IN_XML in start:
        raise refusals.SPREADSHEET(kind=_LIBREOFFICE)
    if is_xml or start.startswith((b"<!doctype", b"<html", b"<table")):
        raise refusals.HTML()
    if _JSON.match(start):
        raise refusals.JSON()


def _kind(data: bytes, kinds: Mapping[bytes, str]) -> str:
    return next((kind for start, kind in kinds.items() if data.startswith(start)), "")


def _is_utf_8(data: bytes) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for start in range(0, len(data), _PART):
            decoder.decode(data[start : start + _PART])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _gunzipped(data: bytes, largest: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    while data.startswith(_GZIP):  # a file may be several, one after the other
        stream = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        try:
            while not stream.eof:
                part = stream.decompress(data, _PART)
                if not part and not stream.unconsumed_tail and not stream.eof:
                    raise refusals.DAMAGED_ARCHIVE(kind="gzip", seen="it ends too early")
                data, size = stream.unconsumed_tail, size + len(part)
                _check_size(size, largest)
                parts.append(part)
        except zlib.error as error:
            raise refusals.DAMAGED_ARCHIVE(kind="gzip", seen=one_line(error)) from error
        data = stream.unused_data
    return b"".join(parts)


def _unzipped(data: bytes, largest: int) -> bytes:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            files = [file for file in archive.infolist() if not file.is_dir() and not _is_debris(file.filename)]
            kinds = {kind for kind, mark in _IN_ZIP.items() for file in files if file.filename.endswith(mark)}
            if kinds:
                raise refusals.SPREADSHEET(kind=kinds.pop())
            if len(files) != 1:
                names = ", ".join(shown(file.filename, 40) for file in files[:3]) or "none"
                raise refusals.SEVERAL_FILES(count=len(files), names=names)
            if files[0].flag_bits & 1:
                raise refusals.LOCKED_ARCHIVE()
            _check_size(files[0].file_size, largest)
            with archive.open(files[0]) as file:
                content = file.read(largest + 1)
    except InvalidBars:
        raise
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError, RuntimeError) as error:
        raise refusals.DAMAGED_ARCHIVE(kind="zip", seen=one_line(error)) from error
    _check_size(len(content), largest)
    return content


def _is_debris(name: str) -> bool:
    return name.startswith("__MACOSX/") or name.rpartition("/")[2].startswith(".")


def _check_size(size: int, largest: int) -> None:
    if size > largest:
        raise refusals.INFLATED(size=size / 1e6, most=largest / 1e6)
