"""A file of symbols is a path, or an object of the data bucket by its URL."""

from pathlib import Path

import pytest

from tickercast.app import read_symbols
from tickercast.backends.object_store.local import LocalObjectStore
from tickercast.config import Settings
from tickercast.errors import UsageError


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
    ],
)
def test_what_is_no_watchlist_is_one_sentence(tmp_path: Path, name: str, said: str) -> None:
    store = LocalObjectStore(tmp_path / "bucket")
    store.write("empty.txt", b"# nothing\n")
    store.write("binary.txt", b"\xff\xfe\xfd\x00")
    with pytest.raises(UsageError, match=said):
        read_symbols(f"file://{tmp_path}/{name}", Settings(bucket=f"file://{tmp_path}/bucket"))
