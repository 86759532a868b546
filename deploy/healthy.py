"""Check that a server answers: the exit code is 0 if it does, with any status below 500.

python deploy/healthy.py http://127.0.0.1:8080/
"""

import sys
import urllib.error
import urllib.request


def answers(url: str) -> bool:
    """Whether the URL answers with a status below 500; the base image has no curl."""
    try:
        with urllib.request.urlopen(url, timeout=5):  # noqa: S310 our own address
            return True
    except urllib.error.HTTPError as error:
        return error.code < 500
    except OSError:
        return False


if __name__ == "__main__":
    sys.exit(not answers(sys.argv[1]))
