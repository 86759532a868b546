"""With what code and libraries this process runs; kept beside what it trains."""

import functools
import platform
import subprocess
from collections.abc import Mapping
from importlib.metadata import distributions
from pathlib import Path

from tickercast.version import __version__

_MATTER = ("keras", "numpy", "onnx", "onnxruntime", "pandas", "tensorflow", "tensorflow-cpu", "tf2onnx")
_CHECKOUT = Path(__file__).parents[4]


def tags() -> Mapping[str, str]:
    """Versions of this package, of Python and of the libraries that matter, and the git commit of a checkout."""
    versions = {name: _installed()[name] for name in _MATTER if name in _installed()}
    return {"tickercast": __version__, "python": platform.python_version(), **versions, **_commit()} | {
        "platform": platform.platform()
    }


def environment() -> str:
    """The same with all that is installed, one line each, as `environment.txt`."""
    return "\n".join(
        [
            f"# Python {platform.python_version()} on {platform.platform()}",
            *(f"{name}=={number}" for name, number in sorted(_installed().items())),
            "",
        ]
    )


def requirements(*names: str) -> list[str]:
    """Pin those of the names that are installed: TensorFlow comes as one of two packages."""
    return [f"{name}=={_installed()[name]}" for name in names if name in _installed()]


@functools.cache
def _installed() -> Mapping[str, str]:
    found = reversed(list(distributions()))  # of two of a name, Python imports the first
    return {one.metadata["Name"].lower().replace("_", "-"): one.version for one in found if one.metadata["Name"]}


@functools.cache
def _commit() -> Mapping[str, str]:
    """MLflow's own tags for it; nothing where git is missing or the package was installed from a wheel.

    The folder must be the checkout's own: a wheel in a `.venv` inside some other checkout has nothing to do with that.
    """
    if not (_CHECKOUT / ".git").exists():
        return {}
    try:
        commit, changed = _git("rev-parse", "HEAD"), _git("status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return {}
    return {"mlflow.source.git.commit": commit, "mlflow.source.git.dirty": str(bool(changed)).lower()}


def _git(*words: str) -> str:
    command = ["git", "-C", str(_CHECKOUT), *words]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()  # noqa: S603
