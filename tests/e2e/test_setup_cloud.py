"""setup.sh cloud and destroy: the real `gcloud` and `bq`, against a stand-in that knows what Google has published."""

import base64
import csv
import io
import json
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from deploy import ai_forecast
from tests.support.cloud_server import NUMBER, Call
from tests.support.deployment import HAS_GCLOUD, PROJECT, WHERE, Deployment
from tests.support.deployment_page import page

from tickercast import engines
from tickercast.config import Settings

PERMISSIONS = list(csv.DictReader((PROJECT / "deploy" / "permissions.tsv").read_text().splitlines(), delimiter="\t"))
ALWAYS = ("-", "schedule")
DEPLOYER, VIEWERS = "serviceAccount:deploy@my-project.iam.gserviceaccount.com", "group:people@example.org"
CALLERS = "group:programs@example.org"
BROAD = re.compile(r"allUsers|allAuthenticatedUsers|roles/(owner|editor|viewer)\b|[aA]dmin\b")

pytestmark = pytest.mark.skipif(not HAS_GCLOUD, reason="gcloud and bq are not installed")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    made = Deployment(tmp_path_factory.mktemp("cloud"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def set_up(project: Deployment) -> str:
    """The output of setup.sh cloud on an empty project."""
    done = project.run("cloud", *WHERE)
    assert (done.returncode, done.stderr, project.refused) == (0, "", [])
    return done.stdout


@pytest.fixture(scope="module")
def changes(project: Deployment, set_up: str) -> list[Call]:
    """The calls of that first run which changed something."""
    return project.cloud.changes


def resources() -> dict[str, str]:
    """The names in Google Cloud of the words of permissions.tsv."""
    subscription = "eventarc-europe-west3-tickercast-forecast-123456-sub-567"
    here = "projects/my-project/locations/europe-west3"
    accounts = ("trigger", "runtime", "trainer", "builder", "scheduler", "mlflow", "dashboard", "api")
    secrets = ("alert-urls", "digest-urls", "mlflow-database", "mlflow-password", "mlflow-key")
    page = f"projects/{NUMBER}/iap_web/cloud_run-europe-west3/services/tickercast-dashboard"
    return (
        {f"{who}-account": f"projects/my-project/serviceAccounts/{email(who)}" for who in accounts}
        | {f"{name}": f"projects/my-project/secrets/tickercast-{name}" for name in secrets}
        | {
            "project": "my-project",
            "data": "my-project-tickercast-data",
            "models": "my-project-tickercast-models",
            "builds": "my-project-tickercast-builds",
            "mlflow": "my-project-tickercast-mlflow",
            "daily": f"{here}/jobs/tickercast-daily",
            "watch": f"{here}/jobs/tickercast-watch",
            "hourly": f"{here}/jobs/tickercast-hourly",
            "mlflow-service": f"{here}/services/tickercast-mlflow",
            "dashboard-service": f"{here}/services/tickercast-dashboard",
            "dashboard-page": page,
            "api-service": f"{here}/services/tickercast-api",
            "dataset": "/datasets/tickercast",
            "function": f"{here}/services/tickercast-forecast",
            "dead-letter": "projects/my-project/topics/tickercast-dead-letter",
            "subscription": f"projects/my-project/subscriptions/{subscription}",
        }
    )


def email(who: str) -> str:
    return f"tickercast-{who}@my-project.iam.gserviceaccount.com"


def member(who: str) -> str:
    if who in ("deployer", "viewer", "caller"):
        return {"deployer": DEPLOYER, "viewer": VIEWERS, "caller": CALLERS}[who]
    agents = {"storage-agent": "gs-project-accounts", "pubsub-agent": "gcp-sa-pubsub", "iap-agent": "gcp-sa-iap"}
    if who in agents:
        return f"serviceAccount:service-{NUMBER}@{agents[who]}.iam.gserviceaccount.com"
    return f"serviceAccount:{email(who)}"


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


def test_a_dry_run_needs_neither_a_login_nor_gcloud_nor_an_environment(tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    shutil.copy(PROJECT / "setup.sh", checkout)
    for folder in ("deploy", "sql", "src"):
        shutil.copytree(PROJECT / folder, checkout / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for tool in ("bash", "sed", "mktemp", "rm", "head", "grep", "cut", "cat", "tail", "dirname", "env"):
        (tmp_path / tool).symlink_to(shutil.which(tool))
    environment = {"PATH": str(tmp_path), "PYTHON": sys.executable, "HOME": str(tmp_path)}
    command = [checkout / "setup.sh", "cloud", *WHERE, "--dry-run", "--with-mlflow", "--budget", "40"]
    command += ["--with-ai-forecast", "--watchlist", "deploy/config/watchlist.txt"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert "gcloud has no login, so nothing is compared with what exists" in done.stdout
    assert "gcloud --project my-project --quiet run jobs deploy tickercast-daily" in done.stdout
    assert "sql instances create tickercast-mlflow" in done.stdout
    assert len(re.findall(r"--labels=tickercast-settings=[0-9a-f]{16}$", done.stdout, re.MULTILINE)) == 3
    assert re.search(r"jobs create http tickercast-ai-forecast .*--description=[0-9a-f]{16} ", done.stdout)
    assert re.search(r"^  trainer +storage\.objectUser +data +uploads the day's files", done.stdout, re.MULTILINE)
    assert re.search(r"^  together +\S+ +\S+ +\S+$", done.stdout, re.MULTILINE)
    assert "dry run: nothing was changed" in done.stdout
    refused = subprocess.run(command[:6], env=environment, capture_output=True, text=True, timeout=60)
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert refused.stderr.startswith("setup.sh: gcloud was not found. Install the Google Cloud CLI")


def test_the_first_run_says_what_it_does_and_the_second_that_there_is_nothing_to_do(
    project: Deployment, set_up: str, changes: list[Call]
) -> None:
    assert "51 changes were made" in set_up
    assert "\n  export MLFLOW_TRACKING_URI=bucket://registry/mlflow.db\n" in set_up
    before = len(changes)
    again = project.run("cloud", *WHERE)
    assert (again.returncode, again.stderr, project.refused) == (0, "", [])
    assert "0 are to do" in again.stdout
    assert "nothing to do: the project holds all of it" in again.stdout
    assert len(project.cloud.changes) == before


def test_what_somebody_switched_off_by_hand_is_named_and_switched_on_again(
    project: Deployment, set_up: str, changes: list[Call]
) -> None:
    for name, made in project.cloud.kept.items():
        if "/alertPolicies/" in name:
            made["enabled"] = False
        if name.endswith("jobs/tickercast-daily") and "schedule" in made:
            made["state"] = "PAUSED"
    project.cloud.kept[f"projects/my-project/serviceAccounts/{email('trainer')}"]["disabled"] = True
    project.cloud.kept[resources()["subscription"]]["deadLetterPolicy"] = {
        "deadLetterTopic": resources()["dead-letter"],
        "maxDeliveryAttempts": 5,
    }
    before = len(project.cloud.changes)
    done = project.run("cloud", *WHERE)
    assert (done.returncode, done.stderr, project.refused) == (0, "", [])
    assert (
        "make   schedule of tickercast-daily: '30 18 * * 1-5' in America/New_York, which is paused: resumed"
        in done.stdout
    )
    assert "make   account tickercast-trainer, which the day runs as, which is disabled: enabled again" in done.stdout
    assert "make   alert 'tickercast: the day has failed', which is off or differs from" in done.stdout
    assert sorted({call.method.partition(".projects.")[2] for call in project.cloud.changes[before:]}) == [
        "alertPolicies.patch",
        "locations.jobs.patch",
        "locations.jobs.resume",
        "serviceAccounts.enable",
        "subscriptions.patch",
    ]
    assert "nothing to do" in project.run("cloud", *WHERE).stdout


def granted(project: Deployment) -> set[tuple[str, ...]]:
    """The grants; Google keeps the roles of a dataset under their older names."""
    older = {"WRITER": "roles/bigquery.dataEditor", "READER": "roles/bigquery.dataViewer"}
    return {(who, older.get(role, role), *rest) for who, role, *rest in project.cloud.grants()}


def told(rows: Iterable[Mapping[str, str]]) -> set[tuple[str, ...]]:
    names = resources()
    return {(member(row["who"]), row["role"], names[row["on"]], row["condition"]) for row in rows}


def test_what_is_granted_is_what_the_table_of_permissions_says(project: Deployment, set_up: str) -> None:
    always = [row for row in PERMISSIONS if row["when"] in ALWAYS]
    assert granted(project) == told(always)
    accounts = {row["who"] for row in always if not row["who"].endswith("-agent")}
    assert accounts == {"trigger", "runtime", "trainer", "builder", "scheduler"}


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
    assert service["maxInstanceRequestConcurrency"] == 3
    assert service["maxInstanceCount"] == 20
    assert service["ingressSettings"] == "ALLOW_INTERNAL_ONLY"
    assert service["serviceAccountEmail"] == "tickercast-runtime@my-project.iam.gserviceaccount.com"
    assert service["environmentVariables"] == {
        "GOOGLE_CLOUD_PROJECT": "my-project",
        "THREADS": "3",
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
    for use in ("data", "models", "builds"):
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
    assert "models/champion.json" in [made["name"] for made in project.store.announced]
    settings = Settings(
        warehouse="bigquery://my-project/tickercast?location=europe-west3", bigquery_emulator_host=project.warehouse.url
    )
    assert engines.warehouse(settings).pending() == {}


def test_the_page_for_reviewers_is_what_was_recorded(project: Deployment, set_up: str, changes: list[Call]) -> None:
    assert (PROJECT / "docs" / "deployment.md").read_text() == page(set_up, changes), "run `make docs`"


def left(project: Deployment) -> set[str]:
    """The resources of the project, without the records of what was done."""
    return {name for name in project.cloud.kept if "operations" not in name and "/builds/" not in name}


def job(changes: list[Call], name: str) -> dict[str, Any]:
    [made] = [call.body for call in changes if call.method == "run.namespaces.jobs.create" and _is(call, name)]
    return made["spec"]["template"]["spec"]["template"]["spec"]


def alerts(changes: list[Call]) -> list[Any]:
    return [call.body["conditions"] for call in changes if call.method == "monitoring.projects.alertPolicies.create"]


def _is(call: Call, name: str) -> bool:
    return bool(call.body["metadata"]["name"] == name)


def test_the_day_runs_as_the_trainer_from_an_image_by_digest_with_all_that_it_needs(changes: list[Call]) -> None:
    spec = job(changes, "tickercast-daily")
    [container] = spec["containers"]
    assert spec["serviceAccountName"] == email("trainer")
    assert (container["command"], container["args"]) == (["tickercast"], ["daily", "--wait=20"])
    assert re.fullmatch(
        r"europe-west3-docker.pkg.dev/my-project/tickercast/worker@sha256:[0-9a-f]{64}", container["image"]
    )
    assert {one["name"]: one["value"] for one in container["env"]} == {
        "GOOGLE_CLOUD_PROJECT": "my-project",
        "MLFLOW_TRACKING_URI": "bucket://registry/mlflow.db",
        "TICKERCAST_BUCKET": "gs://my-project-tickercast-data",
        "TICKERCAST_HOURLY_WATCHLIST": "gs://my-project-tickercast-data/hourly.txt",
        "TICKERCAST_MODEL_BUCKET": "gs://my-project-tickercast-models",
        "TICKERCAST_WAREHOUSE": "bigquery://my-project/tickercast?location=europe-west3",
        "TICKERCAST_WATCHLIST": "gs://my-project-tickercast-data/watchlist.txt",
    }
    [watch] = job(changes, "tickercast-watch")["containers"]
    assert watch["image"] == container["image"]
    assert watch["args"] == ["alerts", "--watchlist=gs://my-project-tickercast-data/watchlist.txt", "--failures-only"]


def test_the_day_starts_on_trading_evenings_by_the_exchanges_clock(changes: list[Call]) -> None:
    calls = [call for call in changes if call.method == "cloudscheduler.projects.locations.jobs.create"]
    found = {call.body["name"].rpartition("/")[2]: call.body for call in calls}
    daily = found["tickercast-daily"]
    assert (daily["schedule"], daily["timeZone"]) == ("30 18 * * 1-5", "America/New_York")
    assert daily["httpTarget"]["uri"].endswith("/jobs/tickercast-daily:run")
    assert daily["httpTarget"]["oauthToken"]["serviceAccountEmail"] == email("scheduler")
    assert found["tickercast-watch"]["schedule"] == "0 3,6 * * *"


def test_the_image_is_built_from_the_checkout_and_signed(project: Deployment, changes: list[Call]) -> None:
    build = body(changes, "cloudbuild.projects.locations.builds.create")
    assert build["options"]["requestedVerifyOption"] == "VERIFIED"
    assert build["serviceAccount"].endswith(email("builder"))
    source = build["source"]["storageSource"]
    archive = project.cloud.contents[f"b/{source['bucket']}/o/{source['object']}"]
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        packed = {name.removeprefix("./") for name in files.getnames()}
    assert {"Dockerfile", "requirements-uv.txt", "deploy/healthy.py", "dist/worker/requirements.txt"} <= packed


def test_everything_that_can_be_asked_for_is_made_once_and_taken_down(tmp_path: Path) -> None:
    urls = tmp_path / "urls"
    urls.write_text("json://example.org/alerts\n")
    options = [
        "--with-mlflow",
        "--with-dashboard",
        VIEWERS,
        "--with-api",
        CALLERS,
        "--budget",
        "40",
        "--alert-urls",
        str(urls),
        "--digest-urls",
        str(urls),
    ]
    options += ["--hourly", "BTCUSDT,ETHUSDT", "--deployer", DEPLOYER, "--watchlist", "deploy/config/watchlist.txt"]
    options += ["--with-ai-forecast"]
    (tmp_path / "project").mkdir()
    project = Deployment(tmp_path / "project")
    try:
        done = project.run("cloud", *WHERE, *options)
        assert (done.returncode, done.stderr, project.refused) == (0, "", [])
        assert granted(project) == told(PERMISSIONS)
        secret = "projects/my-project/secrets/tickercast-{}/versions/1"
        urls_kept, database = (
            base64.b64decode(project.cloud.kept[secret.format(name)]["payload"]["data"])
            for name in ("alert-urls", "mlflow-database")
        )
        socket = "/cloudsql/my-project:europe-west3:tickercast-mlflow"
        said = re.fullmatch(rf"postgresql://mlflow:([\w-]{{32}})@/mlflow\?host={socket}", database.decode())
        assert said
        assert project.cloud.kept["/instances/tickercast-mlflow/users/mlflow"]["password"] == said[1]
        assert urls_kept == urls.read_bytes()
        assert said[1] not in done.stdout
        [container] = job(project.cloud.changes, "tickercast-daily")["containers"]
        [hour] = job(project.cloud.changes, "tickercast-hourly")["containers"]
        assert hour["args"] == ["hourly", "BTCUSDT", "ETHUSDT", "--wait=120"]
        schedules = "cloudscheduler.projects.locations.jobs.create"
        assert any("tickercast-hourly" in str(filters) for filters in alerts(project.cloud.changes))
        [each] = [
            call.body
            for call in project.cloud.changes
            if call.method == schedules and call.body["name"].endswith("/tickercast-hourly")
        ]
        assert (each["schedule"], each["timeZone"]) == ("2 * * * *", "UTC")
        environment = {
            one["name"]: one.get("value") or one["valueFrom"]["secretKeyRef"]["name"] for one in container["env"]
        }
        assert environment["MLFLOW_TRACKING_URI"] == f"https://tickercast-mlflow-{NUMBER}.europe-west3.run.app"
        assert environment["TICKERCAST_ALERT_URLS"] == "tickercast-alert-urls"
        assert environment["TICKERCAST_DIGEST_URLS"] == "tickercast-digest-urls"
        assert "TICKERCAST_DIGEST_URLS" not in {one["name"] for one in hour["env"]}
        bodies = [call.body for call in project.cloud.changes if isinstance(call.body, Mapping)]
        [query] = [found for found in bodies if str(found.get("name")).endswith("jobs/tickercast-ai-forecast")]
        started = query["httpTarget"]
        assert started["uri"] == "https://bigquery.googleapis.com/bigquery/v2/projects/my-project/jobs"
        assert started["headers"]["Content-Type"] == "application/json"
        assert started["oauthToken"]["serviceAccountEmail"] == email("trainer")
        wanted = ai_forecast.job("my-project", "tickercast", "europe-west3")
        assert json.loads(base64.urlsafe_b64decode(started["body"])) == wanted
        coins = "b/my-project-tickercast-data/o/hourly.txt"
        assert project.cloud.contents[coins].endswith(b"\nBTCUSDT ETHUSDT\n")
        assert "\n  export MLFLOW_TRACKING_USERNAME=admin\n" in done.stdout
        before = len(project.cloud.changes)
        again = project.run("cloud", *WHERE, *options)
        assert "nothing to do" in again.stdout, again.stderr
        refused = project.run("cloud", *WHERE, "--with-mlflow", "--without", "api", "--dry-run")
        assert refused.returncode == 2
        named = f"--hourly BTCUSDT,ETHUSDT --with-dashboard {VIEWERS} --with-ai-forecast"
        assert f"my-project was deployed with {named}, which this run leaves out" in refused.stderr
        others = "group:others@example.org"
        urls.write_text("json://example.org/others\n")
        more = project.run(
            *("cloud", *WHERE, *options, "--budget", "50", "--time-zone", "Europe/London"),
            *("--with-api", others, "--with-dashboard", others),
        )
        changed = [call.method for call in project.cloud.changes[before:]]
        assert (more.returncode, sorted(set(changed))) == (
            0,
            [
                "billingbudgets.billingAccounts.budgets.patch",
                "cloudscheduler.projects.locations.jobs.patch",
                "iap.setIamPolicy",
                "run.namespaces.services.replaceService",
                "run.projects.locations.services.setIamPolicy",
                "secretmanager.projects.secrets.addVersion",
                "secretmanager.projects.secrets.versions.disable",
            ],
        )
        versions = {name: made["state"] for name, made in project.cloud.kept.items() if "-urls/versions/" in name}
        assert {(name[-1], state) for name, state in versions.items()} == {("1", "DISABLED"), ("2", "ENABLED")}
        assert "  make   version 1 of tickercast-alert-urls, which a newer one replaces: disabled\n" in more.stdout
        groups = {(who, role) for who, role, *_ in project.cloud.grants() if who.startswith("group:")}
        assert groups == {(others, "roles/run.invoker"), (others, "roles/iap.httpsResourceAccessor")}
        done = project.run("destroy", *WHERE, "--data", "--yes")
        assert (done.returncode, done.stderr, project.refused, left(project)) == (0, "", [], set())
    finally:
        project.close()


def test_a_new_deployment_keeps_what_it_would_undo(project: Deployment, set_up: str) -> None:
    options = ["--max-file-mb", "24", "--with-api", "allUsers"]
    here, services = "projects/my-project/locations/europe-west3/services", "namespaces/my-project/services"
    done = project.run("cloud", *WHERE, *options)
    assert (done.returncode, done.stderr, project.refused) == (0, "", [])
    template = project.cloud.kept[f"{services}/tickercast-forecast"]["spec"]["template"]
    assert template["metadata"]["annotations"]["run.googleapis.com/startup-cpu-boost"].lower() == "true"
    del project.cloud.kept[f"{services}/tickercast-api"]["metadata"]["labels"]["tickercast-settings"]
    again = project.run("cloud", *WHERE, *options)
    assert "1 changes were made" in again.stdout, again.stderr
    assert ("allUsers", "roles/run.invoker", f"{here}/tickercast-api", "-") in project.cloud.grants()
    assert "nothing to do" in project.run("cloud", *WHERE, *options).stdout


def test_destroy_asks_first_and_takes_everything_down_but_the_data(project: Deployment, set_up: str) -> None:
    refused = project.run("destroy", *WHERE, said="no\n")
    assert (refused.returncode, "Nothing was changed" in refused.stderr) == (2, True)
    done = project.run("destroy", *WHERE, said="my-project\n")
    assert (done.returncode, done.stderr, project.refused) == (0, "", [])
    kept = {"b/my-project-tickercast-data", "b/my-project-tickercast-models", "/datasets/tickercast"}
    assert left(project) == kept | {"b/my-project-tickercast-data/o/watchlist.txt"}
    assert not [grant for grant in project.cloud.grants() if "@my-project.iam" in grant[0]]
    done = project.run("destroy", *WHERE, "--data", "--yes")
    assert (done.returncode, done.stderr, project.refused) == (0, "", [])
    assert left(project) == set()
    assert "nothing to do" in project.run("destroy", *WHERE, "--data", "--yes").stdout
