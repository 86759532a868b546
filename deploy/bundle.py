"""Build the bundles that are installed elsewhere: functions, worker, dashboard, API and MLflow, each in a folder.

    dist/function/   main.py  tickercast-0.1.0-0g3f8e8c2d0f1a-py3-none-any.whl  requirements.txt
    dist/aws/        main.py  the same wheel  requirements.txt
    dist/worker/     flows/  the same wheel  requirements.txt
    dist/dashboard/  the same wheel  requirements.txt
    dist/api/        the same wheel  requirements.txt
    dist/mlflow/     requirements.txt
    dist/images/worker/  context/, what a build of that image needs, and tag, a digest of it

The wheel's build tag holds the commit, and a digest of its content if files differ from the commit: under a constant
name the buildpack's cache might serve an older wheel. `requirements.txt` holds pins and hashes from the lock files, but
only of the packages that are needed: the function's also those of the models in `TICKERCAST_MODELS`.

    python deploy/bundle.py function
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Collection, Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

PROJECT = Path(__file__).parents[1]
SOURCES = ("src", "sql", "aws_function", "cloud_function", "pyproject.toml", "requirements.txt", "README.md")
"""The sources of a bundle; README.md is part of the wheel's metadata."""

_REQUIRED_BY = re.compile(r"^    #(?: via)? +([a-z0-9][a-z0-9._-]*)$", re.MULTILINE)
SERVER = ("mlflow", "psycopg2-binary", "google-cloud-storage", "flask-wtf")
"""The packages of an MLflow server with runs in PostgreSQL, files in Cloud Storage, and passwords."""


def subset(lock: str, roots: Iterable[str]) -> str:
    r"""Select the part of a lock file that some packages need, with its hashes and markers.

    Args:
        lock: a requirements file whose comments name the packages that require each one.
        roots: names of packages.

    >>> print(subset("a==1\n    # via tickercast (pyproject.toml)\nb==2\n    # via a\nc==3\n    # via d", ["a"]))
    a==1
        # via tickercast (pyproject.toml)
    b==2
        # via a
    """
    blocks = [(_name(block), block) for block in re.split(r"^(?=[a-z0-9])", lock, flags=re.MULTILINE)[1:]]
    names = {name for name, _ in blocks}  # a package may have two versions, for two versions of Python
    via = {
        name: {parent for same, block in blocks if same == name for parent in _REQUIRED_BY.findall(block)}
        for name in names
    }
    kept = {_normal(root) for root in roots}
    if unknown := kept - names:
        raise SystemExit(f"{', '.join(sorted(unknown))} is in no lock file. Run `make lock`.")
    while grown := {name for name in names - kept if via[name] & kept}:
        kept |= grown
    return "".join(block for name, block in blocks if name in kept).rstrip()


def roots(*extras: str) -> list[str]:
    """The names of the packages that the project requires, with those of some extras."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    required = [
        *project["dependencies"],
        *(line for extra in extras for line in project["optional-dependencies"][extra]),
    ]
    return sorted({_name(line) for line in required})


def wheel(folder: Path) -> Path:
    """Build the wheel into a folder, under a name that identifies its commit and its content."""
    with TemporaryDirectory() as made:
        _run(sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", made)
        [built] = Path(made).glob("*.whl")
        project, version, *tags = built.name.split("-")
        return Path(shutil.copy(built, folder / "-".join([project, version, f"0{_commit(built)}", *tags])))


def function(folder: Path) -> None:
    """Bundle the Cloud Run function; its container holds the same files."""
    shutil.copy(PROJECT / "cloud_function" / "main.py", folder)
    packages = peer_packages(os.environ.get("TICKERCAST_MODELS", ""))
    lock = "requirements-dev.txt" if packages else "requirements.txt"
    _requirements(folder, lock, [*roots(), *packages], wheel(folder))


def peer_packages(models: str) -> list[str]:
    """The packages that the models of a list need and the function does not have by itself.

    >>> peer_packages("champion,ewma-t,prophet,auto-ets,auto-theta")
    ['prophet', 'statsforecast']
    """
    from tickercast.models.statistical import ALL

    listed = {name.strip() for name in models.split(",")}
    return sorted({model.package for model in ALL if model.name in listed})


def aws(folder: Path) -> None:
    """Bundle the function on AWS Lambda."""
    shutil.copy(PROJECT / "aws_function" / "main.py", folder)
    _requirements(folder, "requirements-dev.txt", roots("aws"), wheel(folder))


def worker(folder: Path) -> None:
    """Bundle the flows, their deployments, and the packages for training and monitoring."""
    if (PROJECT / "prefect.yaml").exists():
        shutil.copy(PROJECT / "prefect.yaml", folder)
    shutil.copytree(PROJECT / "flows", folder / "flows", ignore=shutil.ignore_patterns("__pycache__"))
    _requirements(folder, "requirements-dev.txt", roots("train", "flow", "trade"), wheel(folder))


def dashboard(folder: Path) -> None:
    """Bundle the dashboard."""
    _requirements(folder, "requirements-dev.txt", roots("dashboard"), wheel(folder))


def api(folder: Path) -> None:
    """Bundle the HTTP API."""
    _requirements(folder, "requirements-dev.txt", roots("api"), wheel(folder))


def mlflow(folder: Path) -> None:
    """Bundle the packages of the MLflow server, without any code of ours."""
    _requirements(folder, "requirements-dev.txt", SERVER)


IMAGE_FILES = (
    "Dockerfile",
    "requirements-uv.txt",
    "deploy/healthy.py",
    "deploy/mlflow-server.sh",
)
"""The files of the checkout that images copy, beside the bundles."""


def image(folder: Path, target: str) -> None:
    """Bundle the sources of one image, and name them by their content."""
    context = folder / "context"
    for name in IMAGE_FILES:
        (context / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(PROJECT / name, context / name)
    bundle = context / "dist" / target
    bundle.mkdir(parents=True)
    MAKERS[target](bundle)
    digest = hashlib.sha256()
    for path, content in sorted(_content(context).items()):
        digest.update(f"{path} {len(content)}\n".encode() + content)
    (folder / "tag").write_text(digest.hexdigest()[:16])


MAKERS = {make.__name__: make for make in (function, aws, worker, dashboard, api, mlflow)}


def _requirements(folder: Path, lock: str, needed: Collection[str], own: Path | None = None) -> None:
    lines = [subset((PROJECT / lock).read_text(), needed)]
    if own:
        lines.append(f"./{own.name} --hash=sha256:{hashlib.sha256(own.read_bytes()).hexdigest()}")
    (folder / "requirements.txt").write_text("\n".join(lines) + "\n")


def _commit(built: Path) -> str:
    digest = hashlib.sha256(built.read_bytes()).hexdigest()[:8]
    try:
        commit = _run("git", "rev-parse", "--short=12", "HEAD").strip()
        changed = _run("git", "status", "--porcelain", "--", *SOURCES)
    except (OSError, subprocess.CalledProcessError):  # a copy without its git history
        return f"d{digest}"
    return f"g{commit}.d{digest}" if changed else f"g{commit}"


def _run(*command: str) -> str:
    return subprocess.run(command, cwd=PROJECT, check=True, capture_output=True, text=True).stdout


def _name(requirement: str) -> str:
    return _normal(re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0])


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def main(name: str, target: str = "") -> None:
    """Build one of the bundles, or the sources of an image of one."""
    chosen = target if name == "image" else name
    if chosen not in MAKERS or (name != "image" and target):
        raise SystemExit(
            f"{' '.join([name, target]).strip()!r} was given, and one of {', '.join(MAKERS)} was needed, or image and "
            "one of them."
        )
    folder = PROJECT / "dist" / ("images" if name == "image" else "") / chosen
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder.parent) as made:
        if name == "image":
            image(Path(made), chosen)
        else:
            MAKERS[chosen](Path(made))
        _replace(Path(made), folder)
    print(f"{folder.relative_to(PROJECT)}: {', '.join(sorted(path.name for path in folder.iterdir()))}")


def _replace(made: Path, folder: Path) -> None:
    """Replace a folder by another, unless both are the same: somebody may be reading it."""
    if not folder.exists() or _content(made) != _content(folder):
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(made, folder)


def _content(folder: Path) -> dict[Path, bytes]:
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


if __name__ == "__main__":
    main(*(sys.argv[1:3] or [""]))
