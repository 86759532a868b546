"""The cost of S3 for a function with gs:// or a folder: nothing."""

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
