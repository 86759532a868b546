"""deploy/rollout.sh: a deployment that does not answer is taken back, and a bundle has a bill of materials."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
WHERE = ["--project", "my-project", "--region", "europe-west3"]
GCLOUD = """#!/usr/bin/env bash
echo "$*" >>calls
case "$*" in
  *latestCreatedRevisionName*) cat created ;;
  *latestReadyRevisionName*) cat ready ;;
  *"jobs describe"*) cat image ;;
  *"jobs execute"*) exit "$(cat doctor)" ;;
esac
"""
SETUP = """#!/usr/bin/env bash
echo "setup $*" >>calls
echo new >created
if [ "$(cat broken)" = no ]; then echo new >ready; fi
"""


def rollout(
    folder: Path, *, before: str = "old", broken: bool = False, doctor: int = 0
) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """Roll out beside a gcloud and a setup.sh that only write down what they are asked."""
    (folder / "deploy").mkdir()
    (folder / "bin").mkdir()
    shutil.copy(PROJECT / "deploy" / "rollout.sh", folder / "deploy")
    for name, text in {"setup.sh": SETUP, "bin/gcloud": GCLOUD}.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    image = "here/worker@sha256:old\n" if before else ""
    states = {"created": before, "ready": before, "image": image, "doctor": doctor, "broken": "yes" if broken else "no"}
    for name, state in states.items():
        (folder / name).write_text(f"{state}".rstrip("\n") + ("\n" if state != "" else ""))
    done = subprocess.run(
        [folder / "deploy" / "rollout.sh", *WHERE, "--budget", "40"],
        env={"PATH": f"{folder / 'bin'}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    calls = (folder / "calls").read_text().splitlines()
    return done, [call.removeprefix("--project my-project --quiet ") for call in calls if "describe" not in call]


def test_a_version_that_answers_gets_the_traffic(tmp_path: Path) -> None:
    done, calls = rollout(tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert calls == [
        "setup cloud --project my-project --region europe-west3 --budget 40",
        "run services update-traffic tickercast-forecast --to-latest --region=europe-west3",
        "run jobs execute tickercast-watch --args=doctor --wait --region=europe-west3",
    ]


@pytest.mark.parametrize("fault", [{"doctor": 1}, {"broken": True}])
def test_one_that_does_not_is_taken_back(tmp_path: Path, fault: dict[str, int]) -> None:
    done, calls = rollout(tmp_path, **fault)
    assert done.returncode == 1
    assert done.stderr.endswith("rollout.sh: the check failed, and old serves as before\n") or "broken" in fault
    kept = "old"
    assert calls[-4:] == [
        f"run services update-traffic tickercast-forecast --to-revisions={kept}=100 --region=europe-west3",
        "run jobs update tickercast-daily --image=here/worker@sha256:old --region=europe-west3",
        "run jobs update tickercast-watch --image=here/worker@sha256:old --region=europe-west3",
        "run jobs update tickercast-hourly --image=here/worker@sha256:old --region=europe-west3",
    ]


def test_a_first_version_that_does_not_answer_has_none_to_go_back_to(tmp_path: Path) -> None:
    done, calls = rollout(tmp_path, before="", doctor=1)
    assert done.returncode == 1
    assert "there is no earlier version to go back to" in done.stderr
    assert not [call for call in calls if "--to-revisions" in call or "jobs update" in call]


def test_without_a_project_it_is_one_sentence(tmp_path: Path) -> None:
    done = subprocess.run([PROJECT / "deploy" / "rollout.sh"], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "--project and --region were needed" in done.stderr


def test_a_bundle_has_a_bill_of_its_packages_with_their_hashes() -> None:
    made = subprocess.run([sys.executable, "deploy/bundle.py", "mlflow"], cwd=PROJECT, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    done = subprocess.run([sys.executable, "deploy/sbom.py", "mlflow"], cwd=PROJECT, capture_output=True, text=True)
    bill = json.loads(done.stdout)
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.5")
    named = {one["name"]: one for one in bill["components"]}
    pinned = (PROJECT / "dist" / "mlflow" / "requirements.txt").read_text()
    assert len(bill["components"]) == sum("==" in line and not line.startswith(" ") for line in pinned.splitlines())
    assert {"mlflow", "psycopg2-binary", "google-cloud-storage"} <= named.keys()
    assert all(one["hashes"] and len(one["hashes"][0]["content"]) == 64 for one in bill["components"])
    missing = subprocess.run([sys.executable, "deploy/sbom.py", "none"], cwd=PROJECT, capture_output=True, text=True)
    assert missing.stderr == "dist/none is not there. Run make bundles.\n"
