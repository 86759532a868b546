"""infra/ and setup.sh make the same, resource by resource: both are compared with one list of what there is and why."""

import csv
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.support.cloud_server import NUMBER, Call
from tests.support.deployment import HAS_GCLOUD, PROJECT, WHERE, Deployment

Made = dict[tuple[str, str], Any]

LISTED = list(csv.DictReader((PROJECT / "deploy" / "resources.tsv").read_text().splitlines(), delimiter="\t"))
PERMISSIONS = list(csv.DictReader((PROJECT / "deploy" / "permissions.tsv").read_text().splitlines(), delimiter="\t"))
ALWAYS = ("-", "schedule")
OWN = PROJECT / ".infra" / "bin" / "python"
PYTHON = sys.executable if importlib.util.find_spec("pulumi") else str(OWN)


def listed() -> set[tuple[str, str]]:
    return {(row["kind"], row["name"]) for row in LISTED if row["when"] in ALWAYS}


def last(name: str) -> str:
    return name.rpartition("/")[2]


@pytest.fixture(scope="module")
def by_setup(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """The resources that setup.sh makes, from the calls that the real gcloud sends."""
    if not HAS_GCLOUD:
        pytest.skip("gcloud and bq are not installed")
    project = Deployment(tmp_path_factory.mktemp("project"))
    try:
        done = project.run("cloud", *WHERE)
        assert (done.returncode, done.stderr) == (0, "")
        return dict(_sent(project.cloud.changes))
    finally:
        project.close()


def _sent(calls: list[Call]) -> Iterator[tuple[tuple[str, str], Any]]:  # noqa: C901 a case a kind
    for call in calls:
        body = call.body or {}
        match call.method:
            case "serviceusage.services.batchEnable":
                for name in body["serviceIds"]:
                    yield ("service", name.partition(".")[0]), None
            case "iam.projects.serviceAccounts.create":
                yield ("account", body["accountId"]), body["serviceAccount"]["displayName"]
            case "storage.buckets.insert":
                yield ("bucket", body["name"].rpartition("-")[2]), body["location"]
            case "storage.objects.insert" if body["name"].endswith(".txt"):
                yield ("object", body["name"]), None
            case "bigquery.datasets.insert":
                yield ("dataset", body["datasetReference"]["datasetId"]), (body["location"], body["description"])
            case "pubsub.projects.topics.create":
                yield ("topic", last(body["name"])), None
            case "pubsub.projects.subscriptions.create":
                yield ("subscription", last(call.named["name"])), body["messageRetentionDuration"]
            case "artifactregistry.projects.locations.repositories.create":
                yield ("repository", call.query["repositoryId"]), body["format"]
            case "cloudfunctions.projects.locations.functions.create":
                service, trigger = body["serviceConfig"], body["eventTrigger"]
                memory, concurrency = service["availableMemory"], service["maxInstanceRequestConcurrency"]
                environment = service["environmentVariables"]
                shape = (memory, concurrency, service["maxInstanceCount"], service["timeoutSeconds"])
                who = (service["serviceAccountEmail"], trigger["serviceAccountEmail"])
                yield ("function", call.query["functionId"]), (shape, environment, who, service["ingressSettings"])
            case "run.namespaces.jobs.create":
                spec = body["spec"]["template"]["spec"]["template"]["spec"]
                [container] = spec["containers"]
                environment = {one["name"]: one["value"] for one in container["env"]}
                yield (
                    ("job", body["metadata"]["name"]),
                    _job(
                        container, environment, spec["serviceAccountName"], spec["maxRetries"], spec["timeoutSeconds"]
                    ),
                )
            case "cloudscheduler.projects.locations.jobs.create":
                yield ("schedule", last(body["name"])), (body["schedule"], body["timeZone"], body["httpTarget"]["uri"])
            case "monitoring.projects.alertPolicies.create":
                yield ("alert", body["displayName"]), _filters(body["conditions"])


def _filters(conditions: list[dict[str, Any]]) -> list[str]:
    return [one[key]["filter"] for one in conditions for key in one if key.startswith("condition")]


def _job(container: Mapping[str, Any], environment: Mapping[str, str], who: str, retries: Any, seconds: Any) -> Any:
    args, limits = container["args"], container["resources"]["limits"]
    return list(args), dict(limits), dict(environment), who, int(retries), int(str(seconds).removesuffix("s"))


@pytest.fixture(scope="module")
def program() -> list[dict[str, Any]]:
    """The resources that Pulumi's program asks for, with mocks in place of its engine."""
    if not Path(PYTHON).exists():
        pytest.skip("Pulumi is not installed: make infra installs it in .infra")
    done = subprocess.run(
        [PYTHON, "tests/support/infra.py"],
        cwd=PROJECT,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def _asked(program: list[dict[str, Any]]) -> Iterator[tuple[tuple[str, str], Any]]:  # noqa: C901 a case a kind
    for one in program:
        given = one["inputs"]
        match one["type"].rpartition(":")[2], one["type"].split(":")[1].partition("/")[0]:
            case "Service", _:
                yield ("service", given["service"].partition(".")[0]), None
            case "Account", _:
                yield ("account", given["accountId"]), given["displayName"]
            case "Bucket", _:
                yield ("bucket", given["name"].rpartition("-")[2]), given["location"].upper()
            case "BucketObject", _ if given["name"].endswith(".txt"):
                yield ("object", given["name"]), None
            case "Dataset", _:
                yield ("dataset", given["datasetId"]), (given["location"], given["description"])
            case "Topic", _:
                yield ("topic", given["name"]), None
            case "Subscription", _:
                yield ("subscription", given["name"]), given["messageRetentionDuration"]
            case "Repository", _:
                yield ("repository", given["repositoryId"]), given["format"]
            case "Function", _:
                service, trigger = given["serviceConfig"], given["eventTrigger"]
                memory, concurrency = service["availableMemory"], int(service["maxInstanceRequestConcurrency"])
                shape = (memory, concurrency, int(service["maxInstanceCount"]), int(service["timeoutSeconds"]))
                who = (service["serviceAccountEmail"], trigger["serviceAccountEmail"])
                environment = service["environmentVariables"]
                yield ("function", given["name"]), (shape, environment, who, service["ingressSettings"])
            case "Job", "cloudrunv2":
                template = given["template"]["template"]
                [container] = template["containers"]
                environment = {each["name"]: each["value"] for each in container["envs"]}
                who, retries = template["serviceAccount"], template["maxRetries"]
                yield ("job", given["name"]), _job(container, environment, who, retries, template["timeout"])
            case "Job", "cloudscheduler":
                yield ("schedule", given["name"]), (given["schedule"], given["timeZone"], given["httpTarget"]["uri"])
            case "AlertPolicy", _:
                yield ("alert", given["displayName"]), _filters(given["conditions"])


def test_setup_makes_what_the_list_says(by_setup: Made) -> None:
    assert by_setup.keys() == listed()


def test_the_program_asks_for_what_the_list_says(program: list[dict[str, Any]]) -> None:
    assert {key for key, _ in _asked(program)} == listed()


def test_both_make_it_alike(by_setup: Made, program: list[dict[str, Any]]) -> None:
    asked = dict(_asked(program))
    for key, made in by_setup.items():
        if key[0] == "bucket":
            made = made.upper()
        assert asked[key] == made, key


def test_the_program_grants_what_the_table_of_permissions_says(program: list[dict[str, Any]]) -> None:
    agents = {"storage-agent": "gs-project-accounts", "pubsub-agent": "gcp-sa-pubsub"}
    wanted = []
    for row in (row for row in PERMISSIONS if row["when"] in ALWAYS):
        account = f"tickercast-{row['who']}@my-project.iam.gserviceaccount.com"
        if row["who"] in agents:
            account = f"service-{NUMBER}@{agents[row['who']]}.iam.gserviceaccount.com"
        wanted.append((f"serviceAccount:{account}", row["role"], row["condition"]))
    granted = [
        (one["inputs"]["member"], one["inputs"]["role"], (one["inputs"].get("condition") or {}).get("title", "-"))
        for one in program
        if one["type"].lower().endswith("iammember")
    ]
    assert sorted(granted) == sorted(wanted)


def test_the_function_and_the_jobs_come_after_the_agents_and_grants_that_they_need(
    program: list[dict[str, Any]],
) -> None:
    """Its build, its trigger and its first run need them, and Google makes its agents on request only."""
    later = ("function", "subscription", "daily", "watch")
    grants = [one["name"] for one in program if one["type"].lower().endswith("iammember")]
    early = {name for name in grants if name.rpartition("-")[2] not in later} | {"eventarc-agent"}
    waits = {one["name"]: set(one["after"]) for one in program if not one["type"].endswith("IAMMember")}
    assert len(early) > 10
    for name in ("function", "job-daily", "job-watch"):
        assert early <= waits[name], name


def test_the_subscription_is_the_one_that_the_trigger_names(program: list[dict[str, Any]]) -> None:
    [named] = [one["inputs"]["subscription"] for one in program if one["type"].endswith(":SubscriptionIAMMember")]
    assert named == "eventarc-europe-west3-tickercast-forecast-123456-sub-567"


def test_every_resource_says_why_it_is_there() -> None:
    assert all(row["why"] for row in LISTED)
