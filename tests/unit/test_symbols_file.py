"""A file of symbols is a path, or an object of the data bucket by its URL."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tickercast.app import read_symbols
from tickercast.backends.object_store.local import LocalObjectStore
from tickercast.config import Settings
from tickercast.domain.trading.universe import read_members
from tickercast.errors import UsageError
from tickercast.reading.holdings import read_holdings

_WIDE = b"A" * 200_000  # more than a cell of CSV may have


def test_a_watchlist_in_the_bucket_is_read_by_its_url(tmp_path: Path) -> None:
    settings = Settings(bucket=f"file://{tmp_path}/bucket")
    LocalObjectStore(tmp_path / "bucket").write("watchlist.txt", b"MSFT, AAPL # two\nBRK-B\n")
    assert read_symbols(f"file://{tmp_path}/bucket/watchlist.txt", settings) == ["MSFT", "AAPL", "BRK-B"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("bucket/none.txt", "There is no file:.*none.txt: a text file of symbols was needed. Write it there"),
        ("elsewhere/watchlist.txt", "is not in the data bucket: file://.*bucket/NAME or the path of a file"),
        ("bucket/empty.txt", "holds no symbol: one a line was needed"),
        ("bucket/binary.txt", "cannot be read: it is no UTF-8 text. A text file of symbols was needed"),
        ("bucket/zero.txt", "zero.txt cannot be read: it has zero bytes in it. A text file of symbols was needed"),
        ("bucket/wide.csv", "wide.csv is not CSV .field larger.*: lines of cells of at most 131,072 letters"),
    ],
)
def test_what_is_no_watchlist_is_one_sentence(tmp_path: Path, name: str, said: str) -> None:
    store = LocalObjectStore(tmp_path / "bucket")
    store.write("empty.txt", b"# nothing\n")
    store.write("binary.txt", b"\xff\xfe\xfd\x00")
    store.write("zero.txt", b"MSFT\0AAPL\n")
    store.write("wide.csv", b"symbol,name\nMSFT," + _WIDE)
    with pytest.raises(UsageError, match=said):
        read_symbols(f"file://{tmp_path}/{name}", Settings(bucket=f"file://{tmp_path}/bucket"))


def test_a_list_with_a_word_as_long_as_a_book_is_a_list(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_bytes(b"MSFT\n" + _WIDE)
    assert read_symbols(str(tmp_path / "list.txt"))[0] == "MSFT"
    (tmp_path / "list.txt").write_bytes(_WIDE)
    assert read_symbols(str(tmp_path / "list.txt")) == [_WIDE.decode()]


@pytest.mark.parametrize("read", [read_holdings, read_members])
def test_a_file_with_titles_that_is_not_csv_is_one_sentence(read: Callable[[str, str], object]) -> None:
    with pytest.raises(UsageError, match=r"^own.csv is not CSV .*letters were needed, each quote closed. Correct it."):
        read(f'symbol,shares\nMSFT,"{_WIDE.decode()}\n', "own.csv")


def test_titles_may_end_as_on_an_old_mac() -> None:
    assert read_holdings("symbol,shares\rMSFT,3\r", "own.csv").symbols == ["MSFT"]
