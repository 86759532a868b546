"""Builds and deployments of reviewed parts alone: pinned by digest, with the least rights, under known licences."""

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

PROJECT = Path(__file__).parents[2]
WORKFLOWS = sorted((PROJECT / ".github" / "workflows").glob("*.yml"))
CONDITION = (PROJECT / "docs" / "security.md").read_text()


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_every_action_is_pinned_by_digest(path: Path) -> None:
    used = re.findall(r"uses: (.+)$", path.read_text(), re.MULTILINE)
    assert used
    for each in used:
        assert re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", each), each


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_job_may_do_what_it_needs_and_no_more(path: Path) -> None:
    workflow = load(path)
    assert workflow["permissions"] == {}
    for name, job in workflow["jobs"].items():
        rights = {"contents": "read"} | ({"id-token": "write"} if job.get("environment") == "production" else {})
        assert job["permissions"] == rights, name
        for step in job["steps"]:
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] is False, name


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_no_text_of_an_event_becomes_part_of_a_script(path: Path) -> None:
    for job in load(path)["jobs"].values():
        assert not [step for step in job["steps"] if "${{" in step.get("run", "")]


def test_dependencies_and_licences_are_checked_in_ci_and_before_a_deployment() -> None:
    for path in WORKFLOWS:
        steps = [step.get("run") for job in load(path)["jobs"].values() for step in job["steps"]]
        assert {"make audit", "make licences"} <= set(steps), path.name


def test_images_are_pinned_by_digest() -> None:
    dockerfile = (PROJECT / "Dockerfile").read_text()
    assert re.search(r"^ARG PYTHON=python:[\d.]+-slim-bookworm@sha256:[0-9a-f]{64}$", dockerfile, re.MULTILINE)
    stages = set(re.findall(r" AS (\S+)$", dockerfile, re.MULTILINE))
    assert set(re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE)) <= stages | {"${PYTHON}"}
    for name, service in load(PROJECT / "compose.yaml")["services"].items():
        assert re.search(r"@sha256:[0-9a-f]{64}$", service.get("image", "@sha256:" + 64 * "0")), name


def test_only_the_reviewed_environment_of_one_repository_becomes_deployer() -> None:
    """Whoever may push a tag is not yet a deployer, and a repository that takes the name is not the same one."""
    [condition] = re.findall(r'--attribute-condition="(.+?)"', CONDITION)
    assert "assertion.repository_id=='REPOSITORY_ID'" in condition
    assert "assertion.environment=='production'" in condition
    [member] = re.findall(r"--member=principalSet://(\S+)", CONDITION)
    assert member.endswith("/attribute.repository_id/REPOSITORY_ID")
    assert "attribute.repository_id=assertion.repository_id" in CONDITION


@pytest.fixture(scope="module")
def licences() -> Any:
    spec = importlib.util.spec_from_file_location("licences", PROJECT / "deploy" / "licences.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_nothing_is_shipped_under_the_gpl(licences: Any) -> None:
    pytest.importorskip("mlflow")
    found = {name: licences.licence(name) for name in licences.shipped()}
    assert len(found) > 100
    assert {"duckdb", "mlflow", "prefect", "streamlit"} <= set(found)
    assert list(licences.refused(found)) == []


@pytest.mark.parametrize(
    "stated",
    [
        "GPL-3.0-only",
        "AGPL-3.0-or-later",
        "GNU General Public License v3 (GPLv3)",
        "GNU Affero General Public License v3",
        "MIT AND GPL-2.0",
    ],
)
def test_a_licence_that_may_not_be_shipped_is_refused(licences: Any, stated: str) -> None:
    assert list(licences.refused({"x": stated})) == [f"x has the licence {stated}, and is not to be shipped."]


@pytest.mark.parametrize(
    "stated", ["GNU Library or Lesser General Public License (LGPL)", "LGPL-2.1", "GPL-2.0 OR MIT"]
)
def test_a_licence_with_conditions_is_reported_only(licences: Any, stated: str) -> None:
    assert list(licences.refused({"x": stated})) == []
