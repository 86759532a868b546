"""The Python that holds the imports of gcloud and bq: same calls, and no process that outlives its caller."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from tests.support.deployment import HAS_GCLOUD, PROJECT, keep_from_the_network
from tests.support.warm_python import WarmPython

PIPE = subprocess.PIPE
ASKING = ("gcloud", "projects", "delete", "a")

pytestmark = pytest.mark.skipif(not HAS_GCLOUD, reason="gcloud and bq are not installed")


@pytest.fixture(scope="module")
def cold(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of an ordinary call."""
    folder = tmp_path_factory.mktemp("gcloud")
    keep_from_the_network(folder)
    (folder / "token").write_text("token")
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "CLOUDSDK_CONFIG": str(folder),
        "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE": str(folder / "token"),
        "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "1",
        "CLOUDSDK_CORE_PROJECT": "my-project",
        "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK": "1",
    }


@pytest.fixture(scope="module")
def warm(cold: dict[str, str]) -> Iterator[dict[str, str]]:
    """The environment of the same call on the Python that holds the imports."""
    python = WarmPython(Path(cold["HOME"]) / "python", cold)
    yield cold | {"CLOUDSDK_PYTHON": str(python.path)}
    python.close()


def wait_for_the_question(asking: subprocess.Popen[bytes]) -> None:
    said = b""
    while not said.endswith(b"(Y/n)?  "):
        part = asking.stderr.read1()
        assert part, said
        said += part


def call(environment: Mapping[str, str], *command: str, said: str = "", folder: Path = PROJECT) -> tuple[int, str, str]:
    done = subprocess.run(command, env=environment, cwd=folder, input=said, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("command", "said", "status"),
    [
        (("gcloud", "pubsub", "topics", "create", "a", "--labells=b=c"), "", 2),
        (("gcloud", "projects", "delete", "a"), "n\n", 0),
        (("gcloud", "config", "get", "project"), "", 0),
        (("bq", "show", "--fromat=json", "a"), "", 1),
    ],
)
def test_a_warm_call_says_what_a_cold_one_says(
    cold: dict[str, str], warm: dict[str, str], command: tuple[str, ...], said: str, status: int
) -> None:
    expected = call(cold, *command, said=said)
    assert expected[0] == status
    assert [call(warm, *command, said=said) for _ in range(2)] == [expected] * 2


def test_a_call_has_the_environment_and_the_folder_of_its_caller(warm: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "flags.json").write_text('{"--format": "json"}')
    command = ("gcloud", "config", "get", "project", "--flags-file=flags.json")
    other = warm | {"CLOUDSDK_CORE_PROJECT": "another"}
    assert call(other, *command, folder=tmp_path)[:2] == (0, '"another"\n')
    assert call(warm, *command, folder=tmp_path)[:2] == (0, '"my-project"\n')


def test_a_call_ends_with_its_caller(warm: dict[str, str]) -> None:
    with subprocess.Popen(ASKING, env=warm, stdin=PIPE, stderr=PIPE) as caller:
        wait_for_the_question(caller)
        caller.kill()
        assert caller.stderr.read() == b""  # it lasts until the last process that holds it has ended


def test_every_process_ends_with_the_one_that_started_them(cold: dict[str, str], tmp_path: Path) -> None:
    starter = """if True:
        import os, pathlib, subprocess, sys
        from tests.support.warm_python import WarmPython
        python = WarmPython(pathlib.Path(sys.argv[1]), os.environ)
        subprocess.run(sys.argv[2:], env=os.environ | {"CLOUDSDK_PYTHON": str(python.path)})
    """
    command = (sys.executable, "-c", starter, tmp_path / "python", *ASKING)
    with subprocess.Popen(command, cwd=PROJECT, env=cold, stdin=PIPE, stderr=PIPE) as started:
        wait_for_the_question(started)
        started.kill()
        assert started.stderr.read() == b""
