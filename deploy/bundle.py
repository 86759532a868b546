"""Builds what is installed elsewhere: function, worker, dashboard and MLflow server, each a folder of its own.

    dist/function/   main.py  tickercast-0.1.0-0g3f8e8c2d0f1a-py3-none-any.whl  requirements.txt
    dist/worker/     flows/  the same wheel  requirements.txt
    dist/dashboard/  the same wheel  requirements.txt
    dist/mlflow/     requirements.txt

The wheel's build tag carries the commit, and a digest of its content where files differ from it: under a constant name
the buildpack's cache may serve an older one. `requirements.txt` holds the pins and hashes of the lock files, and only
those that are needed.

    python deploy/bundle.py function
"""

import hashlib
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Collection, Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

PROJECT = Path(__file__).parents[1]
HELD = ("src", "sql", "cloud_function", "pyproject.toml", "requirements.txt", "README.md")
"""What a bundle holds; README.md because the wheel's metadata do."""

_ASKER = re.compile(r"^    #(?: via)? +([a-z0-9][a-z0-9._-]*)$", re.MULTILINE)
SERVER = ("mlflow", "psycopg2-binary", "google-cloud-storage", "flask-wtf")
"""What an MLflow server needs that keeps runs in PostgreSQL and files in Cloud Storage, and asks for a password."""


def subset(lock: str, roots: Iterable[str]) -> str:
    r"""The part of a lock file that some requirements need, with its hashes and markers.

    Args:
        lock: a requirements file whose comments say via which packages each one came.
        roots: names of packages.

    >>> print(subset("a==1\n    # via tickercast (pyproject.toml)\nb==2\n    # via a\nc==3\n    # via d", ["a"]))
    a==1
        # via tickercast (pyproject.toml)
    b==2
        # via a
    """
    blocks = [(_name(block), block) for block in re.split(r"^(?=[a-z0-9])", lock, flags=re.MULTILINE)[1:]]
    names = {name for name, _ in blocks}  # one may come in two versions, for two versions of Python
    via = {name: {asker for same, block in blocks if same == name for asker in _ASKER.findall(block)} for name in names}
    kept = {_normal(root) for root in roots}
    if unknown := kept - names:
        raise SystemExit(f"{', '.join(sorted(unknown))} is in no lock file. Run `make lock`.")
    while grown := {name for name in names - kept if via[name] & kept}:
        kept |= grown
    return "".join(block for name, block in blocks if name in kept).rstrip()


def roots(*extras: str) -> list[str]:
    """The names of the packages that the project asks for, with those of some extras."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    asked = [*project["dependencies"], *(line for extra in extras for line in project["optional-dependencies"][extra])]
    return sorted({_name(line) for line in asked})


def wheel(folder: Path) -> Path:
    """Builds the wheel into a folder, under a name that tells its commit and its content apart from all others."""
    with TemporaryDirectory() as made:
        _run(sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", made)
        [built] = Path(made).glob("*.whl")
        project, version, *tags = built.name.split("-")
        return Path(shutil.copy(built, folder / "-".join([project, version, f"0{_commit(built)}", *tags])))


def function(folder: Path) -> None:
    """The source of the Cloud Run function, which its container holds too."""
    shutil.copy(PROJECT / "cloud_function" / "main.py", folder)
    _requirements(folder, "requirements.txt", roots(), wheel(folder))


def worker(folder: Path) -> None:
    """The flows, their deployments, and all that training and monitoring need."""
    if (PROJECT / "prefect.yaml").exists():
        shutil.copy(PROJECT / "prefect.yaml", folder)
    shutil.copytree(PROJECT / "flows", folder / "flows", ignore=shutil.ignore_patterns("__pycache__"))
    _requirements(folder, "requirements-dev.txt", roots("train", "flow"), wheel(folder))


def dashboard(folder: Path) -> None:
    """What people look at."""
    _requirements(folder, "requirements-dev.txt", roots("dashboard"), wheel(folder))


def mlflow(folder: Path) -> None:
    """What the MLflow server needs; none of our own code."""
    _requirements(folder, "requirements-dev.txt", SERVER)


def _requirements(folder: Path, lock: str, needed: Collection[str], own: Path | None = None) -> None:
    lines = [subset((PROJECT / lock).read_text(), needed)]
    if own:
        lines.append(f"./{own.name} --hash=sha256:{hashlib.sha256(own.read_bytes()).hexdigest()}")
    (folder / "requirements.txt").write_text("\n".join(lines) + "\n")


def _commit(built: Path) -> str:
    digest = hashlib.sha256(built.read_bytes()).hexdigest()[:8]
    try:
        commit = _run("git", "rev-parse", "--short=12", "HEAD").strip()
        changed = _run("git", "status", "--porcelain", "--", *HELD)
    except (OSError, subprocess.CalledProcessError):  # a copy without its history
        return f"d{digest}"
    return f"g{commit}.d{digest}" if changed else f"g{commit}"


def _run(*command: str) -> str:
    return subprocess.run(command, cwd=PROJECT, check=True, capture_output=True, text=True).stdout


def _name(requirement: str) -> str:
    return _normal(re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0])


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def main(what: str) -> None:
    """Builds one of the four anew."""
    makers = {made.__name__: made for made in (function, worker, dashboard, mlflow)}
    if what not in makers:
        raise SystemExit(f"{what!r} was given, and one of {', '.join(makers)} was needed.")
    folder = PROJECT / "dist" / what
    folder.parent.mkdir(exist_ok=True)
    with TemporaryDirectory(dir=folder.parent) as made:
        makers[what](Path(made))
        _put(Path(made), folder)
    print(f"{folder.relative_to(PROJECT)}: {', '.join(sorted(path.name for path in folder.iterdir()))}")


def _put(made: Path, folder: Path) -> None:
    """Puts a folder in the place of another; one that is the same already is left to whoever reads it."""
    if not folder.exists() or _content(made) != _content(folder):
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(made, folder)


def _content(folder: Path) -> dict[Path, bytes]:
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "")
