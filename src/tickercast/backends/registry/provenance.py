"""The code and libraries of this process, recorded with the models that it trains."""

import functools
import platform
import subprocess
from collections.abc import Mapping
from importlib.metadata import distributions
from pathlib import Path

from tickercast.version import __version__

_KEY_LIBRARIES = ("keras", "numpy", "onnx", "onnxruntime", "pandas", "tensorflow", "tensorflow-cpu", "tf2onnx")
_CHECKOUT = Path(__file__).parents[4]


def tags() -> Mapping[str, str]:
    """The versions of tickercast, of Python and of the key libraries, and the git commit of a checkout."""
    versions = {name: _installed()[name] for name in _KEY_LIBRARIES if name in _installed()}
    return {"tickercast": __version__, "python": platform.python_version(), **versions, **_commit()} | {
        "platform": platform.platform()
    }


def environment() -> str:
    """The content of `environment.txt`: all installed packages, one a line."""
    return "\n".join(
        [
            f"# Python {platform.python_version()} on {platform.platform()}",
            *(f"{name}=={number}" for name, number in sorted(_installed().items())),
            "",
        ]
    )


def requirements(*names: str) -> list[str]:
    """Pin the packages among these that are installed: TensorFlow comes as one of two."""
    return [f"{name}=={_installed()[name]}" for name in names if name in _installed()]


@functools.cache
def _installed() -> Mapping[str, str]:
    found = reversed(list(distributions()))  # Python imports the first of two with the same name
    return {one.metadata["Name"].lower().replace("_", "-"): one.version for one in found if one.metadata["Name"]}


@functools.cache
def _commit() -> Mapping[str, str]:
    """The commit in MLflow's own tags; none if git is missing or the package was installed from a wheel.

    The folder must be tickercast's own checkout: a wheel may be installed in a `.venv` inside some other checkout.
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
