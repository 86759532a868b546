"""setup.sh cloud and destroy: the real `gcloud` and `bq`, against a stand-in that knows what Google has published."""

import csv
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.cloud_server import NUMBER, Call
from tests.support.deployment import HAS_GCLOUD, PROJECT, WHERE, Deployment
from tests.support.deployment_page import page

from tickercast import engines
from tickercast.config import Settings

PERMISSIONS = list(csv.DictReader((PROJECT / "deploy" / "permissions.tsv").read_text().splitlines(), delimiter="\t"))
BROAD = re.compile(r"allUsers|allAuthenticatedUsers|roles/(owner|editor|viewer)\b|[aA]dmin\b")

pytestmark = pytest.mark.skipif(not HAS_GCLOUD, reason="gcloud and bq are not installed")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    made = Deployment(tmp_path_factory.mktemp("cloud"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def set_up(project: Deployment) -> str:
    """What setup.sh cloud says of an empty project."""
    done = project.run("cloud", *WHERE)
    assert (done.returncode, done.stderr, project.refused) == (0, "", [])
    return done.stdout


@pytest.fixture(scope="module")
def changes(project: Deployment, set_up: str) -> list[Call]:
    """The calls of that first run which changed something."""
    return project.cloud.changes


def resources() -> dict[str, str]:
    """What a word of permissions.tsv is called in Google Cloud."""
    subscription = "eventarc-europe-west3-tickercast-forecast-123456-sub-001"
    return {
        "project": "my-project",
        "data": "my-project-tickercast-data",
        "models": "my-project-tickercast-models",
        "dataset": "/datasets/tickercast",
        "function": "projects/my-project/locations/europe-west3/services/tickercast-forecast",
        "dead-letter": "projects/my-project/topics/tickercast-dead-letter",
        "subscription": f"projects/my-project/subscriptions/{subscription}",
    }


def member(who: str) -> str:
    agents = {"storage-agent": "gs-project-accounts", "pubsub-agent": "gcp-sa-pubsub"}
    if who in agents:
        return f"serviceAccount:service-{NUMBER}@{agents[who]}.iam.gserviceaccount.com"
    return f"serviceAccount:tickercast-{who}@my-project.iam.gserviceaccount.com"


def body(changes: list[Call], method: str) -> dict[str, dict]:
    [call] = [call for call in changes if call.method == method]
    return dict(call.body)


def test_a_dry_run_of_an_empty_project_shows_every_command_and_changes_nothing(tmp_path: Path) -> None:
    project = Deployment(tmp_path)
    try:
        done = project.run("cloud", *WHERE, "--dry-run")
        assert (done.returncode, done.stderr, project.refused, project.cloud.changes) == (0, "", [], [])
    finally:
        project.close()
    assert "dry run: nothing was changed" in done.stdout
    assert "gcloud --project my-project --quiet storage buckets create gs://my-project-tickercast-data" in done.stdout
    assert re.search(r"estimate, USD a month +10 symbols +500 symbols +8,000 symbols", done.stdout)


def test_the_first_run_says_what_it_does_and_the_second_that_there_is_nothing_to_do(
    project: Deployment, set_up: str, changes: list[Call]
) -> None:
    assert "35 changes were made" in set_up
    before = len(changes)
    again = project.run("cloud", *WHERE)
    assert (again.returncode, again.stderr, project.refused) == (0, "", [])
    assert "0 are to do" in again.stdout
    assert "nothing to do: the project holds all of it" in again.stdout
    assert len(project.cloud.changes) == before


def test_what_is_granted_is_what_the_table_of_permissions_says(project: Deployment, set_up: str) -> None:
    names = resources()
    told = {(member(row["who"]), row["role"], names[row["on"]], row["condition"]) for row in PERMISSIONS}
    # Google keeps the roles of a dataset under their older names.
    granted = {
        (who, {"WRITER": "roles/bigquery.dataEditor"}.get(role, role), *rest)
        for who, role, *rest in project.cloud.grants()
    }
    assert granted == told


def test_nothing_broad_is_granted_to_anyone(project: Deployment, set_up: str) -> None:
    for who, role, *_ in project.cloud.grants():
        assert not BROAD.search(who)
        assert not BROAD.search(role)


@pytest.mark.parametrize("role", ["roles/editor", "roles/owner", "roles/storage.admin", "roles/storage.objectAdmin"])
def test_the_rule_against_broad_roles_knows_them(role: str) -> None:
    assert BROAD.search(role)


def test_the_function_is_deployed_as_it_was_measured_and_closed_to_all_but_its_trigger(changes: list[Call]) -> None:
    made = body(changes, "cloudfunctions.projects.locations.functions.create")
    service, trigger = made["serviceConfig"], made["eventTrigger"]
    assert service["availableMemory"] == "2048Mi"
    assert service["maxInstanceRequestConcurrency"] == 4
    assert service["maxInstanceCount"] == 20
    assert service["ingressSettings"] == "ALLOW_INTERNAL_ONLY"
    assert service["serviceAccountEmail"] == "tickercast-runtime@my-project.iam.gserviceaccount.com"
    assert service["environmentVariables"] == {
        "GOOGLE_CLOUD_PROJECT": "my-project",
        "THREADS": "4",
        "TICKERCAST_BUCKET": "gs://my-project-tickercast-data",
        "TICKERCAST_MAX_EVENT_AGE_H": "12",
        "TICKERCAST_MAX_FILE_MB": "64",
        "TICKERCAST_MODEL_BUCKET": "gs://my-project-tickercast-models",
        "TICKERCAST_WAREHOUSE": "bigquery://my-project/tickercast?location=europe-west3",
    }
    assert trigger["retryPolicy"] == "RETRY_POLICY_RETRY"
    assert trigger["triggerRegion"] == "europe-west3"
    assert trigger["eventFilters"] == [{"attribute": "bucket", "value": "my-project-tickercast-data"}]
    assert made["buildConfig"]["runtime"] == "python311"
    assert made["buildConfig"]["entryPoint"] == "forecast"


def test_the_source_that_is_uploaded_is_the_bundle(project: Deployment, set_up: str) -> None:
    bundle = {path.name: path.read_bytes() for path in (PROJECT / "dist" / "function").iterdir()}
    assert project.cloud.source == bundle


def test_buckets_are_closed_versioned_and_expire(project: Deployment, set_up: str) -> None:
    for use in ("data", "models"):
        bucket = project.cloud.kept[f"b/my-project-tickercast-{use}"]
        assert bucket["iamConfiguration"] == {
            "publicAccessPrevention": "enforced",
            "uniformBucketLevelAccess": {"enabled": True},
        }
        assert bucket["versioning"] == {"enabled": True}
        assert bucket["lifecycle"]["rule"]


def test_what_fails_a_hundred_times_is_put_aside(project: Deployment, set_up: str) -> None:
    subscription = project.cloud.kept[resources()["subscription"]]
    assert subscription["deadLetterPolicy"] == {
        "deadLetterTopic": resources()["dead-letter"],
        "maxDeliveryAttempts": 100,
    }


def test_tables_views_and_the_champion_are_there(project: Deployment, set_up: str) -> None:
    assert "models/champion.json" in [made["name"] for made in project.store.finalized]
    settings = Settings(
        warehouse="bigquery://my-project/tickercast?location=europe-west3", bigquery_emulator_host=project.warehouse.url
    )
    assert engines.warehouse(settings).pending() == {}


def test_the_page_for_reviewers_is_what_was_recorded(project: Deployment, set_up: str, changes: list[Call]) -> None:
    assert (PROJECT / "docs" / "deployment.md").read_text() == page(set_up, changes), "run `make docs`"


def test_destroy_asks_first_and_takes_everything_down_but_the_data(project: Deployment, set_up: str) -> None:
    refused = project.run("destroy", *WHERE, said="no\n")
    assert (refused.returncode, "Nothing was changed" in refused.stderr) == (2, True)
    done = project.run("destroy", *WHERE, said="my-project\n")
    assert (done.returncode, done.stderr, project.refused) == (0, "", [])
    left = {name for name in project.cloud.kept if "operations" not in name}
    assert left == {"b/my-project-tickercast-data", "b/my-project-tickercast-models", "/datasets/tickercast"}
    assert not [grant for grant in project.cloud.grants() if "@my-project.iam" in grant[0]]
    done = project.run("destroy", *WHERE, "--data", "--yes")
    assert (done.returncode, done.stderr, project.refused) == (0, "", [])
    assert not [name for name in project.cloud.kept if "operations" not in name]
    assert "nothing to do" in project.run("destroy", *WHERE, "--data", "--yes").stdout
