"""setup.sh cloud, where every call that changes something fails once."""

from pathlib import Path

import pytest
from tests.support.cloud_server import Call
from tests.support.deployment import HAS_GCLOUD, WHERE, Deployment
from tests.support.storage_server import INSERT

pytestmark = pytest.mark.skipif(not HAS_GCLOUD, reason="gcloud and bq are not installed")


def test_after_each_step_has_failed_once_the_same_command_completes(tmp_path: Path) -> None:
    failed: list[str] = []

    def first_time(call: Call) -> int:
        if call.what in failed:
            return 0
        failed.append(call.what)
        return (403, 429, 500)[len(failed) % 3]

    project = Deployment(tmp_path)
    project.cloud.fails = first_time
    project.store.fail(INSERT, "403")
    try:
        runs = 0
        done = project.run("cloud", *WHERE)
        while done.returncode:
            runs += 1
            assert "it continues from there" in done.stderr
            assert runs < 12, done.stderr
            done = project.run("cloud", *WHERE)
        assert project.refused == []
        made = [call.what for call in project.cloud.changes]
        assert sorted(set(made)) == sorted(failed)
        # Failed, done, and perhaps asked for again in a later run; Google's agents are woken for each of their grants.
        often = {what for what in failed if made.count(what) > 3}
        assert all(what.startswith("serviceusage.services.generateServiceIdentity") for what in often), often
        before = len(project.cloud.changes)
        assert "nothing to do" in project.run("cloud", *WHERE).stdout
        assert len(project.cloud.changes) == before
    finally:
        project.close()
