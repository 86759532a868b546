"""What a function does not need is not imported: S3 for gs:// or a folder, the parser of SQL for its events."""

import subprocess
import sys

import pytest

_SCRIPT = """
import sys
from tickercast import engines
from tickercast.app import App, answers, callers
from tickercast.config import Settings
store = engines.object_store(Settings(bucket={bucket!r}), announce=False)
store.url, engines.polled_bucket(Settings(bucket={bucket!r}))
ours = [name for name in sys.modules if name.startswith("tickercast.backends.") and "s3" in name]
print(sorted([*ours, *(name for name in sys.modules if name.startswith(("boto", "aws")))]))
"""


@pytest.mark.parametrize("bucket", ["gs://bucket", "file://bucket"])
def test_nothing_of_s3_is_imported_for_another_bucket(bucket: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT.format(bucket=bucket)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_the_parser_of_sql_is_imported_for_no_warehouse_that_is_ready() -> None:
    script = (
        "import sys; from tickercast.backends.warehouse import bigquery, duckdb; "
        "print(sorted(name for name in sys.modules if name.startswith('sqlglot')))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
