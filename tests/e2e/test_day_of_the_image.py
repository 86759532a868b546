"""The day as the worker's image runs it on Cloud Run: its command and environment, on an empty folder."""

import subprocess
from pathlib import Path

import pytest
from tests.support.compose import BIN, PROJECT, images
from tests.support.deployment import WHERE

from tickercast.backends.object_store.local import LocalObjectStore

pytest.importorskip("mlflow")
pytest.importorskip("tensorflow", exc_type=ImportError)
pytestmark = pytest.mark.slow

_PATIENCE_S = 600
LISTS = {name: (PROJECT / "deploy" / "config" / name).read_bytes() for name in ("watchlist.txt", "hourly.txt")}


def settings(job: str) -> list[tuple[str, str]]:
    """The options of a job, as setup.sh gives them to gcloud."""
    script = (
        'fail() { echo "$*" >&2; exit 2; }; state=$(mktemp -d); : >"$state/facts"; mode=plan; '
        "for part in options cloud steps function day extras; do source deploy/$part.sh; done; "
        f'read_options {" ".join(WHERE)}; set_names; job_settings {job}; rm -r "$state"'
    )
    done = subprocess.run(["bash", "-euc", script], cwd=PROJECT, capture_output=True, text=True, check=True)
    return [(name, value) for name, _, value in (line[2:].partition("=") for line in done.stdout.splitlines())]


def command(job: str, folder: Path) -> tuple[list[str], dict[str, str]]:
    """The command and the environment of a job, with a local bucket and warehouse in place of those of the cloud."""
    given = settings(job)
    told = dict(value.split("=", 1) for name, value in given if name == "set-env-vars")
    image = images()
    environment = image["base"]["ENV"] | image["worker"]["ENV"] | told
    data, models = (told[name] for name in ("TICKERCAST_BUCKET", "TICKERCAST_MODEL_BUCKET"))
    here = {data: f"file://{folder}/data", models: f"file://{folder}/models"}
    here |= {told["TICKERCAST_WAREHOUSE"]: f"duckdb://{folder}/warehouse.duckdb"}

    def local(text: str) -> str:
        for there, instead in here.items():
            text = text.replace(there, instead)
        return text

    [words] = [value for name, value in given if name == "args"]
    [program] = [value for name, value in given if name == "command"]
    ours = {"PATH": f"{BIN}:/usr/bin:/bin", "HOME": str(folder), "PYTHONPATH": str(PROJECT / "src")}
    ours |= {"TICKERCAST_SOURCE": "simulated", "TMPDIR": str(folder)}
    assert program == "tickercast"
    made = {name: local(value) for name, value in environment.items()} | ours
    return [str(BIN / "python"), "-m", program, *map(local, words.split(","))], made


def run(job: str, folder: Path) -> subprocess.CompletedProcess[str]:
    words, environment = command(job, folder)
    return subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, timeout=_PATIENCE_S)


def test_a_day_is_run_whole_and_the_second_run_has_nothing_to_do(tmp_path: Path) -> None:
    for name, content in LISTS.items():
        LocalObjectStore(tmp_path / "data").write(name, content)
    first = run("daily", tmp_path)
    assert first.returncode == 0, first.stderr
    assert "forecasts   10 made" in first.stdout
    assert "training    refitted" in first.stdout
    second = run("daily", tmp_path)
    assert second.returncode == 0, second.stderr
    assert "no forecast was left to make" in second.stdout
    models = LocalObjectStore(tmp_path / "models").names("registry/")
    assert "registry/mlflow.db" in models
    assert LocalObjectStore(tmp_path / "data").names("locks/") == []
    # Simulated forecasts count for nobody, so that the watch has something to say: in a table, and by its exit code.
    watch = run("watch", tmp_path)
    assert (watch.returncode, watch.stderr) == (1, "")
    assert "Nothing arrived on a trading day" in watch.stdout
