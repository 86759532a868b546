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
  *--flatten=status.traffic*) cat traffic ;;
  *--to-latest*) sed 's/$/=100/' ready >traffic ;;
  *--to-revisions=*) words="$*"; words="${words##*--to-revisions=}"; echo "${words%% *}" | tr , '\\n' >traffic ;;
  *"jobs describe"*) cat image ;;
  *"jobs update"*) cat earlier >doctor ;;
  *"jobs execute"*) exit "$(cat doctor)" ;;
esac
"""
SETUP = """#!/usr/bin/env bash
echo "setup $*" >>calls
mkdir -p dist
if [ -s migrates ]; then cat migrates >dist/migrated; fi
cat next >created
if [ "$(cat broken)" = no ]; then cat next >ready; sed 's/$/=100/' ready >traffic; fi
"""


def project(folder: Path, *, before: str = "old", traffic: str | None = None) -> None:
    """A checkout beside a gcloud and a setup.sh that only write down what they are asked, and keep the traffic."""
    (folder / "deploy").mkdir()
    (folder / "bin").mkdir()
    shutil.copy(PROJECT / "deploy" / "rollout.sh", folder / "deploy")
    for name, text in {"setup.sh": SETUP, "bin/gcloud": GCLOUD}.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    line = f"{before}\n" if before else ""
    serves = f"{before}=100\n" if before else ""
    image = "here/worker@sha256:old\n" if before else ""
    states = {"created": line, "ready": line, "traffic": serves if traffic is None else traffic, "image": image}
    for name, state in states.items():
        (folder / name).write_text(state)


def rollout(
    folder: Path, version: str = "new", *, broken: bool = False, doctor: int = 0, earlier: int = 0, migrates: str = ""
) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """Roll out a version, and list what was asked for."""
    states = {"doctor": doctor, "earlier": earlier, "migrates": migrates, "next": version}
    states["broken"] = "yes" if broken else "no"
    for name, state in states.items():
        (folder / name).write_text(f"{state}\n" if state != "" else "")
    (folder / "calls").write_text("")
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
    project(tmp_path)
    done, calls = rollout(tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert calls == [
        "setup cloud --project my-project --region europe-west3 --budget 40",
        "run services update-traffic tickercast-forecast --to-latest --region=europe-west3",
        "run jobs execute tickercast-watch --args=doctor --wait --region=europe-west3",
    ]


@pytest.mark.parametrize("fault", [{"doctor": 1}, {"broken": True}])
def test_one_that_does_not_is_taken_back(tmp_path: Path, fault: dict[str, int]) -> None:
    project(tmp_path)
    done, calls = rollout(tmp_path, **fault)
    assert done.returncode == 1
    assert done.stderr.endswith("rollout.sh: the deployment or its check failed, and old serves as before\n")
    kept = "--image=here/worker@sha256:old --remove-labels=tickercast-settings --region=europe-west3"
    assert calls[-5:] == [
        "run services update-traffic tickercast-forecast --to-revisions=old=100 --region=europe-west3",
        f"run jobs update tickercast-daily {kept}",
        f"run jobs update tickercast-watch {kept}",
        f"run jobs update tickercast-hourly {kept}",
        "run jobs execute tickercast-watch --args=doctor --wait --region=europe-west3",
    ]


def test_it_does_not_say_that_a_version_serves_which_does_not_answer(tmp_path: Path) -> None:
    project(tmp_path)
    done, _ = rollout(tmp_path, doctor=1, earlier=1)
    assert "old serves again, but does not answer either" in done.stderr
    assert "serves as before" not in done.stderr


def test_it_goes_back_to_what_served_and_not_to_an_earlier_version_that_failed(tmp_path: Path) -> None:
    project(tmp_path, before="a")
    for version in ("b", "c"):
        done, _ = rollout(tmp_path, version, doctor=1)
        assert done.stderr.endswith("and a serves as before\n")
        assert (tmp_path / "traffic").read_text() == "a=100\n"


def test_traffic_that_was_split_is_split_again(tmp_path: Path) -> None:
    project(tmp_path, traffic="a=90\ntagged=\nb=10\n")
    done, _ = rollout(tmp_path, doctor=1)
    assert done.stderr.endswith("and a=90,b=10 serves as before\n")
    assert (tmp_path / "traffic").read_text() == "a=90\nb=10\n"


def test_where_no_traffic_is_stated_the_newest_that_was_ready_served(tmp_path: Path) -> None:
    project(tmp_path, traffic="")
    rollout(tmp_path, doctor=1)
    assert (tmp_path / "traffic").read_text() == "old=100\n"


def test_once_tables_were_migrated_nothing_is_taken_back(tmp_path: Path) -> None:
    project(tmp_path)
    done, calls = rollout(tmp_path, doctor=1, migrates="drift, forecasts")
    assert done.returncode == 1
    assert "after a migration of drift, forecasts, which old cannot use then: nothing was taken back" in done.stderr
    assert "serves as before" not in done.stderr
    assert (tmp_path / "traffic").read_text() == "new=100\n"
    assert not [call for call in calls if "--to-revisions" in call or "jobs update" in call]
    done, _ = rollout(tmp_path, "newer", doctor=1)
    assert done.stderr.endswith("and new serves as before\n")


def test_a_first_version_that_does_not_answer_has_none_to_go_back_to(tmp_path: Path) -> None:
    project(tmp_path, before="")
    done, calls = rollout(tmp_path, doctor=1)
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
