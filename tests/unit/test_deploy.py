"""The needs of deployment, as far as they can be checked without a cloud and without a container engine."""

import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from deploy import cost
from tests.support.deployment import keep_from_the_network

from tickercast import config
from tickercast.app import operations
from tickercast.backends.warehouse.duckdb import DuckDBWarehouse
from tickercast.domain.measures.direction import DIRECTION
from tickercast.domain.watchlist import symbols_in as watched
from tickercast.models import catalogue

PROJECT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
DOCKERFILE = (PROJECT / "Dockerfile").read_text()
PAGES = {path.stem: path.read_text() for path in (PROJECT / "docs").glob("*.md")}
WHERE = ("--project", "my-project", "--region", "europe-west3")
ALERTS = (
    "A flow has failed",
    "The warehouse does not answer",
    "Ingestions have failed",
    "Drift",
    "Coverage is outside its band",
    "Data are stale",
    "The champion has changed",
    "Nothing arrived on a trading day",
    "The function fails",
    "Events are put aside",
)


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"deploy_{name}", PROJECT / "deploy" / f"{name}.py")
    assert spec
    assert spec.loader
    made = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = made
    spec.loader.exec_module(made)
    return made


def setup(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([PROJECT / "setup.sh", *words], capture_output=True, text=True, timeout=60)


def test_the_scripts_are_clean() -> None:
    scripts = ["setup.sh", "deploy/mlflow-server.sh", "deploy/rollout.sh"]
    done = subprocess.run(
        [BIN / "shellcheck", "--external-sources", "--check-sourced", *scripts],
        cwd=PROJECT,
        capture_output=True,
        text=True,
    )
    assert (done.stdout, done.returncode) == ("", 0)


def test_the_dockerfile_is_clean() -> None:
    done = subprocess.run([BIN / "hadolint", "Dockerfile"], cwd=PROJECT, capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("", 0)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["clowd"], "'clowd' was given, and nothing, dev, lock, cloud, destroy or aws was needed"),
        (["cloud"], "--project is '', and a project's id was needed"),
        (["cloud", "--project"], "--project was given without a value"),
        (["cloud", "--project", "My Project", "--region", "europe-west3"], "a project's id was needed"),
        (["cloud", "--project", "my-project", "--region", "Europe"], "a region was needed"),
        (["cloud", "--project", "my-project", "--region", "europe-west3", "--concurrency", "0"], "from 1 to 9999"),
        (["cloud", *WHERE, "--budget", "4.5"], "whole US dollars a month were needed"),
        (["cloud", *WHERE, "--prefect", "here"], "the URL of a Prefect API was needed"),
        (["cloud", *WHERE, "--with-dashboard", "everyone"], "who may see it was needed"),
        (["cloud", *WHERE, "--deployer", "me"], "who deploys was needed"),
        (["cloud", *WHERE, "--time-zone", "local"], "the exchange's was needed"),
        (["cloud", *WHERE, "--time-zone", "Asia/Nowhere"], "which the time zone database does not know"),
        (["cloud", *WHERE, "--watchlist", "no-such-file"], "no-such-file cannot be read: No such file or directory"),
        (["cloud", *WHERE, "--notify", "foo"], "the name of a notification channel was needed"),
        (["cloud", *WHERE, "--notify", ""], "--notify was given without a value"),
        (["cloud", *WHERE, "--hourly", "US5949181045"], "'US5949181045' is an ISIN: a symbol was needed"),
        (["cloud", *WHERE, "--with-api", "group:a,b@example.org"], "who may reach it was needed"),
        (["cloud", *WHERE, "--day-memory-gib", "64"], "a whole number from 1 to 32 was needed"),
        (["destroy", "--project", "my-project", "--force"], "'--force' was given, and an option was needed"),
    ],
)
def test_a_wrong_word_is_one_sentence_and_changes_nothing(words: list[str], said: str) -> None:
    done = setup(*words)
    assert done.returncode == 2
    assert done.stderr.startswith("setup.sh: ")
    assert said in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("option", "content", "said"),
    [
        ("--watchlist", "MSFT\n🙂\n", "cannot be the watchlist: '🙂' is not a symbol"),
        ("--watchlist", "# none yet\n", "holds no symbol: one a line was needed"),
        ("--alert-urls", "json://example.org/alerts secret\n", "Word 2 of"),
        ("--digest-urls", "\n", "holds no URL: receivers such as mailto://"),
    ],
)
def test_a_file_that_could_not_be_used_is_refused_before_anything_is_made(
    option: str, content: str, said: str, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text(content)
    done = setup("cloud", *WHERE, "--dry-run", option, str(tmp_path / "file"))
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert said in done.stderr
    assert "secret" not in done.stderr


def memory(concurrency: int, megabytes: int, models: str = "champion") -> tuple[int, str]:
    script = (
        f'fail() {{ echo "$*" >&2; exit 2; }}; models={models}; source deploy/function.sh; '
        f"memory_for {concurrency} {megabytes}"
    )
    done = subprocess.run(["bash", "-euc", script], cwd=PROJECT, capture_output=True, text=True)
    return done.returncode, done.stdout.strip() or done.stderr


def test_memory_follows_the_largest_files_that_are_handled_at_once() -> None:
    assert memory(1, 64) == (0, "1024")
    assert memory(3, 64) == (0, "2048")
    assert memory(4, 64) == (0, "2048")
    assert memory(5, 64) == (0, "4096")
    assert memory(2, 24) == (0, "1024")
    assert memory(1, 10) == (0, "512")
    assert memory(1, 100, "champion,prophet") == memory(1, 100, "champion,auto-ets") == (0, "2048")
    assert memory(1, 100, "champion,ewma-t,xgb-direction") == (0, "1024")
    code, said = memory(80, 64)
    assert code == 2
    assert "Lower --concurrency or --max-file-mb" in said


def served(models: str) -> tuple[int, str]:
    script = (
        'fail() { echo "$*" >&2; exit 2; }; state=$(mktemp -d); : >"$state/facts"; memory_mib=2048; '
        "for part in options cloud function; do source deploy/$part.sh; done; "
        f"read_options --project my-project --region europe-west3 --models {models}; set_names; "
        'function_settings; rm -r "$state"'
    )
    done = subprocess.run(["bash", "-euc", script], cwd=PROJECT, capture_output=True, text=True)
    return done.returncode, done.stdout or done.stderr


def test_the_function_is_told_which_models_to_serve() -> None:
    code, said = served("champion,ewma-t,historical-simulation")
    assert code == 0
    assert "--set-env-vars=^;^TICKERCAST_MODELS=champion,ewma-t,historical-simulation\n" in said
    assert "TICKERCAST_MODELS" not in served("champion")[1]
    assert "TICKERCAST_MODELS=champion,prophet,xgb-direction\n" in served("champion,prophet,xgb-direction")[1]
    code, said = served("champion,profet")
    assert code == 2
    assert said.startswith("--models is 'champion,profet', and champion was needed, with any of ewma-t, ")


def deployed() -> dict[str, list[dict[str, object]]]:
    """The lists of a project that was deployed with nearly every option."""

    def job(name: str, memory: str, *args: str) -> dict[str, object]:
        container = {"args": list(args), "resources": {"limits": {"memory": memory}}}
        spec = {"template": {"spec": {"template": {"spec": {"containers": [container]}}}}}
        return {"metadata": {"name": f"tickercast-{name}"}, "spec": spec}

    servers = {"forecast": "", "mlflow": "", "dashboard": "", "api": "group:a@example.org"}

    def server(name: str, who: str) -> dict[str, object]:
        spec = {"containers": [{"env": [{"name": "SETUP_WITH", "value": who}] if who else []}]}
        return {"metadata": {"name": f"tickercast-{name}"}, "spec": {"template": {"metadata": {}, "spec": spec}}}

    variables = {"TICKERCAST_MODELS": "champion,ewma-t", "TICKERCAST_MAX_FILE_MB": "64"}
    service = {"environmentVariables": variables, "maxInstanceCount": 20, "maxInstanceRequestConcurrency": 4}
    return {
        "functions": [{"name": "f/tickercast-forecast", "state": "ACTIVE", "serviceConfig": service}],
        "runs": [server(name, who) for name, who in servers.items()],
        "jobs": [
            job("daily", "16Gi", "daily", "--wait=20"),
            job("hourly", "2Gi", "hourly", "BTCUSDT", "ETHUSDT", "--wait=120"),
        ],
        "schedules": [
            {"name": "s/tickercast-daily", "schedule": "30 18 * * 1-5", "timeZone": "Europe/London"},
            {"name": "s/tickercast-ai-forecast", "schedule": "30 22 * * 1-5", "timeZone": "Europe/London"},
        ],
    }


def dropped(folder: Path, *words: str) -> tuple[int, str]:
    """The answer of setup.sh to options that the deployed project has."""
    (folder / "facts").write_text("\n".join(load("facts").facts(deployed(), {})) + "\n")
    script = (
        'fail() { echo "$*" >&2; exit 2; }; for part in options cloud; do source deploy/$part.sh; done; '
        f'state={folder}; read_options "$@"; refuse_to_drop'
    )
    done = subprocess.run(["bash", "-euc", script, "bash", *WHERE, *words], cwd=PROJECT, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def test_a_run_that_would_undo_deployed_options_is_refused_and_names_them(tmp_path: Path) -> None:
    assert dropped(tmp_path) == (
        2,
        "my-project was deployed with --models champion,ewma-t --day-memory-gib 16 --hourly BTCUSDT,ETHUSDT "
        "--time-zone Europe/London --with-mlflow --with-dashboard WHO --with-api group:a@example.org "
        "--with-ai-forecast, which this run leaves out. Nothing was changed. Add these options; or, if it is meant, "
        "this: --without hourly,mlflow,dashboard,api,ai-forecast --models champion --day-memory-gib 8 --time-zone "
        "America/New_York\n",
    )


def test_options_that_are_given_or_left_out_on_purpose_are_not_refused(tmp_path: Path) -> None:
    kept = ["--time-zone", "Europe/London", "--models", "champion,ewma-t", "--with-mlflow"]
    meant = ["--day-memory-gib", "8", "--without", "hourly,dashboard,api,ai-forecast"]
    assert dropped(tmp_path, *kept, *meant) == (0, "")
    assert dropped(tmp_path, *kept, *meant[:3], "hourly,dashboard,api")[1].endswith(
        "--without hourly,dashboard,api,ai-forecast\n"
    )
    assert dropped(tmp_path, "--without", "trigger")[1].startswith(
        "--without is 'trigger', and any of mlflow, dashboard,"
    )


def test_the_tables_that_a_version_migrates_are_named_before_and_no_views(tmp_path: Path) -> None:
    for name in ("deploy", "sql"):
        (tmp_path / name).symlink_to(PROJECT / name)
    (tmp_path / "dist").mkdir()
    (tmp_path / "pending").write_text(
        "changed  drift\nmissing  orders\nchanged  predicted_prices\nchanged  forecasts\n"
    )
    script = "state=.; source deploy/gather.sh; source deploy/steps.sh; step() { echo $2; }; make_tables"
    begun = tmp_path / "dist" / "migrated"
    for mode in ("plan", "apply"):
        assert not begun.exists()
        done = subprocess.run(["bash", "-euc", f"mode={mode}; {script}"], cwd=tmp_path, capture_output=True, text=True)
        assert done.stderr == ""
        assert "; drift, forecasts: migrated, so that the version before cannot use them" in done.stdout
    assert begun.read_text() == "drift, forecasts\n"


@pytest.mark.parametrize("code", [0, 1, 2])
def test_a_warehouse_that_cannot_be_asked_is_not_one_that_lacks_tables(tmp_path: Path, code: int) -> None:
    asked = f"tickercast() {{ echo no access >&2; return {code}; }}; check_tables"
    script = f"state={tmp_path}; source deploy/gather.sh; {asked}"
    subprocess.run(["bash", "-euc", script], cwd=PROJECT, check=True)
    made = {name for name in ("provisioned", "provision.failed") if (tmp_path / name).exists()}
    assert made == [{"provisioned"}, set(), {"provision.failed"}][code]
    assert (tmp_path / "provision.log").read_text() == "no access\n"


def told(folder: Path, facts: str, command: str, *words: str) -> str:
    """What a command of the scripts prints, as part of a plan of a project with these facts."""
    (folder / "facts").write_text(f"{facts}\n")
    script = (
        'fail() { echo "$*" >&2; exit 2; }; for part in options cloud function day steps drop; do '
        f'source deploy/$part.sh; done; read_options "$@"; state={folder}; set_names; source_label=SOURCE; '
        f"mode=plan verb=make there=0 missing=0 failed=0 memory_mib=2048; number=12; {command}"
    )
    done = subprocess.run(["bash", "-euc", script, "bash", *WHERE, *words], cwd=PROJECT, capture_output=True, text=True)
    assert done.stderr == ""
    return done.stdout


def test_the_jobs_look_for_the_coins_of_the_hour_and_not_for_one_that_was_left_out(tmp_path: Path) -> None:
    deployed = "option --hourly BTCUSDT,ETHUSDT\n"
    for job in ("daily", "watch", "hourly"):
        said = told(tmp_path, deployed, f"job_settings {job}")
        assert "--set-env-vars=TICKERCAST_HOURLY_WATCHLIST=gs://my-project-tickercast-data/hourly.txt\n" in said
    assert watched(told(tmp_path, "", "hourly_watchlist")) == []
    assert watched(told(tmp_path, deployed, "hourly_watchlist", "--hourly", "BTCUSDT")) == ["BTCUSDT"]
    assert watched(told(tmp_path, deployed, "hourly_watchlist", "--without", "hourly")) == ["BTCUSDT", "ETHUSDT"]
    there = f"{deployed}object hourly.txt\nobject hourly.txt former\n"
    place = "gs://my-project-tickercast-data/hourly.txt"
    planned = told(tmp_path, there, "put_hourly_watchlist", "--hourly", "BTCUSDT")
    assert planned == f"  make   list of the coins of the hour, as {place}: BTCUSDT\n"
    assert told(tmp_path, there, "put_hourly_watchlist", "--without", "hourly").startswith("  there  list of the coins")


def test_the_settings_for_a_laptop_are_those_of_the_jobs(tmp_path: Path) -> None:
    said = told(tmp_path, "", "number=12; how_to_use", "--with-mlflow", "--models", "champion,ewma-t")
    exports = dict(re.findall(r"^  export (\w+)=(.+)$", said, re.MULTILINE))
    settings = told(tmp_path, "", "number=12; job_settings daily", "--with-mlflow")
    jobs = re.findall(r"^--set-env-vars=(\w+)=(.+)$", settings, re.MULTILINE)
    assert {name: shlex.split(exports[name]) for name, _ in jobs} == {name: [value] for name, value in jobs}
    assert exports["MLFLOW_TRACKING_URI"] == "https://tickercast-mlflow-12.europe-west3.run.app"
    assert "--secret=tickercast-mlflow-password" in exports["MLFLOW_TRACKING_PASSWORD"]
    assert exports["TICKERCAST_MODELS"] == "champion,ewma-t"


def lets_in(folder: Path, facts: str, *words: str) -> str:
    """What setup.sh plans about those who are let in, in a project with these facts."""
    return told(folder, facts, "end_former_grants; name_others", *words)


FORMER, NEXT, OTHER = (f"group:{name}@example.org" for name in "abc")
ON_PAGE, ON_API = "roles/iap.httpsResourceAccessor dashboard-page -", "roles/run.invoker api-service -"


def test_whom_the_run_before_let_in_may_no_longer_and_others_are_named_with_the_command(tmp_path: Path) -> None:
    facts = f"option --with-dashboard {FORMER}\noption --with-api {FORMER}\n"
    facts += "".join(f"grant {who} {what}\n" for who in (FORMER, OTHER) for what in (ON_PAGE, ON_API))
    words = ("--with-dashboard", NEXT, "--with-api", NEXT)
    assert lets_in(tmp_path, facts, *words) == (
        f"  make   {FORMER} may no longer iap.httpsResourceAccessor on dashboard-page\n"
        f"  make   {FORMER} may no longer run.invoker on api-service\n"
        f"  note   {OTHER} has iap.httpsResourceAccessor on dashboard-page, too, and keeps it. To end that:\n"
        "            gcloud --project my-project --quiet beta iap web remove-iam-policy-binding "
        "--resource-type=cloud-run --region=europe-west3 --service=tickercast-dashboard "
        f"--member={OTHER} --role=roles/iap.httpsResourceAccessor --condition=None\n"
        f"  note   {OTHER} has run.invoker on api-service, too, and keeps it. To end that:\n"
        "            gcloud --project my-project --quiet run services remove-iam-policy-binding tickercast-api "
        f"--region=europe-west3 --member={OTHER} --role=roles/run.invoker\n"
    )
    assert "make" not in lets_in(tmp_path, facts, "--with-dashboard", FORMER, "--with-api", FORMER)
    assert lets_in(tmp_path, facts, "--without", "dashboard,api") == ""


def test_who_may_be_a_former_deployer_is_named(tmp_path: Path) -> None:
    grant = "roles/iam.serviceAccountUser trainer-account -\n"
    said = lets_in(tmp_path, f"grant {OTHER} {grant}grant {NEXT} {grant}", "--deployer", NEXT)
    assert said.startswith(f"  note   {OTHER} has iam.serviceAccountUser on trainer-account, too, and keeps it.")
    assert said.count("note") == 1


def alert(name: str, **changed: object) -> dict[str, object]:
    """A policy as Google lists it: with names and records of its own, and without zeros."""
    made = json.loads((PROJECT / "deploy" / "config" / f"alert-{name}.json").read_text())
    for number, one in enumerate(made["conditions"]):
        one["name"] = f"conditions/{number}"
        for kind in {"conditionThreshold"} & one.keys():
            del one[kind]["thresholdValue"]
    return made | {"name": f"p/{name}", "enabled": True, "creationRecord": {"mutatedBy": "me"}} | changed


def planned(folder: Path, policies: list[dict[str, object]], *words: str) -> str:
    """The command that setup.sh plans for the alert of the day, and its text."""
    config = {path.stem: json.loads(path.read_text()) for path in (PROJECT / "deploy" / "config").glob("*.json")}
    (folder / "facts").write_text("\n".join(load("facts").facts({"alerts": policies}, config)) + "\n")
    script = (
        'fail() { echo "$*" >&2; exit 2; }; for part in options cloud steps; do source deploy/$part.sh; done; '
        f'state={folder}; mode=plan verb=make there=0 missing=0; read_options "$@"; set_names; dry_run=yes; '
        'make_alert day "tickercast: the day has failed"'
    )
    done = subprocess.run(["bash", "-euc", script, "bash", *WHERE, *words], cwd=PROJECT, capture_output=True, text=True)
    assert done.stderr == ""
    return re.sub(r"(--quiet alpha monitoring policies|gcloud --project my-project) ?", "", done.stdout)


CHANNEL = "projects/my-project/notificationChannels/"


def test_an_alert_that_is_off_or_differs_is_put_right_and_its_channels_stay(tmp_path: Path) -> None:
    to = {"notificationChannels": [f"{CHANNEL}1", f"{CHANNEL}2"]}
    assert planned(tmp_path, [alert("day", **to)]) == "  there  alert 'tickercast: the day has failed'\n"
    for changed in ({"enabled": False}, {"conditions": []}, {"documentation": {"content": "?"}}):
        said = planned(tmp_path, [alert("day", **to, **changed)])
        assert "which is off or differs from deploy/config/alert-day.json\n" in said
        assert "update p/day --policy-from-file=deploy/config/alert-day.json --enabled " in said
        assert f" --set-notification-channels={CHANNEL}1\\,{CHANNEL}2\n" in said


def test_another_channel_replaces_the_former_and_a_new_alert_goes_to_that_of_the_others(tmp_path: Path) -> None:
    one, two = ({"notificationChannels": [f"{CHANNEL}{number}"]} for number in (1, 2))
    assert "there" in planned(tmp_path, [alert("day", **one)], "--notify", f"{CHANNEL}1")
    said = planned(tmp_path, [alert("day", **two)], "--notify", f"{CHANNEL}1")
    assert f"alert 'tickercast: the day has failed', to {CHANNEL}1 in place of {CHANNEL}2\n" in said
    assert f"--enabled --set-notification-channels={CHANNEL}1\n" in said
    assert f"--set-notification-channels={CHANNEL}1\n" in planned(tmp_path, [alert("day")], "--notify", f"{CHANNEL}1")
    assert f"create --policy-from-file=deploy/config/alert-day.json --notification-channels={CHANNEL}2\n" in planned(
        tmp_path, [alert("watch", **two)]
    )


@pytest.mark.parametrize(
    ("held", "facts", "said"),
    [
        ("cat urls", "secret-version tickercast-alert-urls", "  there  content of tickercast-alert-urls, from urls\n"),
        ("echo former", "secret-version tickercast-alert-urls", ", from urls, as a new version\n"),
        ("false", "secret-version tickercast-alert-urls", ", as a new version, since the one there may not be read"),
        ("false", "", "  make   content of tickercast-alert-urls, from urls\n"),
    ],
)
def test_a_file_of_receivers_becomes_the_secret_unless_it_is_already(
    tmp_path: Path, held: str, facts: str, said: str
) -> None:
    (tmp_path / "deploy").symlink_to(PROJECT / "deploy")
    (tmp_path / "urls").write_text("json://example.org/alerts\n")
    (tmp_path / "facts").write_text(f"secret tickercast-alert-urls\n{facts}\n")
    script = (
        "for part in options cloud gather day; do source deploy/$part.sh; done; state=.; mode=plan verb=make there=0 "
        f"missing=0 dry_run=; asked() {{ {held}; }}; g=(asked); compare_secret alert-urls urls; "
        "cat content-* >>facts; fill_from alert-urls urls"
    )
    done = subprocess.run(["bash", "-euc", script], cwd=tmp_path, capture_output=True, text=True)
    assert done.stderr == ""
    assert said in done.stdout


def test_a_server_that_is_left_out_keeps_the_registry_of_the_jobs(tmp_path: Path) -> None:
    served = "https://tickercast-mlflow-12.europe-west3.run.app"
    facts = f"run tickercast-mlflow\nregistry {served}"
    settings = told(tmp_path, facts, "job_settings daily", "--without", "mlflow")
    assert settings == told(tmp_path, facts, "job_settings daily", "--with-mlflow")
    assert f"--set-env-vars=MLFLOW_TRACKING_URI={served}\n" in settings
    assert told(tmp_path, facts, "name_former_registry", "--without", "mlflow") == ""


def test_a_registry_that_moves_is_named(tmp_path: Path) -> None:
    facts = "registry bucket://registry/mlflow.db"
    said = told(tmp_path, facts, "name_former_registry", "--with-mlflow")
    assert said.startswith(
        "  note   the registry moves from bucket://registry/mlflow.db to https://tickercast-mlflow-12."
    )
    assert told(tmp_path, facts, "name_former_registry") == told(tmp_path, "", "name_former_registry") == ""


def test_the_passwords_of_a_database_go_only_with_it(tmp_path: Path) -> None:
    account = "serviceAccount:tickercast-mlflow@my-project.iam.gserviceaccount.com"
    facts = (
        "secret tickercast-alert-urls\nsecret tickercast-mlflow-database\nsecret tickercast-mlflow-password\n"
        f"grant {account} roles/secretmanager.secretAccessor mlflow-database -"
    )
    kept, gone = (
        told(tmp_path, facts, "dry_run=yes; drop_steps"),
        told(tmp_path, facts, "dry_run=yes; drop_steps", "--data"),
    )
    deleted = r"secrets delete tickercast-([\w-]+)$"
    assert re.findall(deleted, kept, re.MULTILINE) == ["alert-urls"]
    assert re.findall(deleted, gone, re.MULTILINE) == ["alert-urls", "mlflow-database", "mlflow-password"]
    assert f"secrets remove-iam-policy-binding tickercast-mlflow-database --member={account} " in kept


def test_every_alert_policy_of_a_name_is_deleted(tmp_path: Path) -> None:
    listed = [{"name": f"p/{number}", "displayName": "tickercast: the day has failed"} for number in (1, 2)]
    said = told(tmp_path, "\n".join(load("facts").facts({"alerts": listed}, {})), "dry_run=yes; drop_steps")
    assert re.findall(r"policies delete (\S+)$", said, re.MULTILINE) == ["p/1", "p/2"]


def test_a_day_that_prefect_starts_has_no_schedule(tmp_path: Path) -> None:
    said = told(
        tmp_path,
        "schedule-job tickercast-daily",
        "dry_run=yes; make_schedules",
        "--prefect",
        "https://prefect.example/api",
    )
    assert "scheduler jobs delete tickercast-daily --location=europe-west3\n" in said
    assert "jobs delete" not in told(tmp_path, "schedule-job tickercast-daily", "dry_run=yes; make_schedules")


@pytest.mark.parametrize(("ready", "label"), [("True", "abc"), ("False", "-"), ("Unknown", "-")])
def test_what_was_deployed_and_is_not_ready_is_not_done(ready: str, label: str) -> None:
    template = {"metadata": {"annotations": {"run.googleapis.com/startup-cpu-boost": "true"}}, "spec": {}}
    one = {
        "metadata": {"name": "tickercast-api", "labels": {"tickercast-settings": "abc"}},
        "spec": {"template": template},
        "status": {"conditions": [{"type": "Ready", "status": ready}]},
    }
    found = list(load("facts").facts({"runs": [one]}, {}))
    assert f"server tickercast-api {label}" in found
    assert ("cpu-boost tickercast-api" in found) == (ready == "True")


def disabled(folder: Path, states: list[str], *words: str) -> list[str]:
    """What a plan disables of the alert receivers, whose secret has versions in these states, the oldest first."""
    (folder / "urls").write_text("json://example.org/alerts\n")
    versions = [{"name": f"s/versions/{number}", "state": state} for number, state in enumerate(states, start=1)]
    (folder / "facts").write_text("\n".join(load("facts").facts({"versions-alert-urls": versions[::-1]}, {})) + "\n")
    script = (
        'fail() { echo "$*" >&2; exit 2; }; for part in options cloud day; do source deploy/$part.sh; done; '
        f'read_options "$@"; state={folder} mode=plan verb=make there=0 missing=0 g=(gcloud) dry_run=yes; '
        "disable_former"
    )
    done = subprocess.run(["bash", "-euc", script, "bash", *WHERE, *words], cwd=PROJECT, capture_output=True, text=True)
    assert done.stderr == ""
    return re.findall(
        r"gcloud secrets versions disable (\d+) --secret=tickercast-alert-urls$", done.stdout, re.MULTILINE
    )


def test_the_versions_before_the_newest_of_a_secret_are_disabled(tmp_path: Path) -> None:
    on, off, gone = "ENABLED", "DISABLED", "DESTROYED"
    renewed = ("--alert-urls", str(tmp_path / "urls"))
    assert disabled(tmp_path, [on]) == []
    assert disabled(tmp_path, [gone, on, off, on, *[off] * 6, on]) == ["2", "4"]
    assert sorted(disabled(tmp_path, [on, off, on], *renewed)) == ["1", "3"]
    assert disabled(tmp_path, [], *renewed) == []
    assert disabled(tmp_path, [on, off]) == []  # nothing newer can be read
    assert disabled(tmp_path, [on, off], *renewed) == ["1"]


def test_of_the_budgets_of_a_billing_account_only_that_of_the_project_counts() -> None:
    def budget(name: str, *projects: str) -> dict[str, object]:
        return {"name": name, "displayName": "tickercast", "budgetFilter": {"projects": list(projects)}}

    listed = {
        "project": {"projectId": "my-project", "projectNumber": "12"},
        "budgets": [budget("b/1", "projects/13"), budget("b/2"), budget("b/3", "projects/12", "projects/13")],
    }
    assert list(load("facts").facts(listed, {})) == []
    listed["budgets"] += [budget("b/4", "projects/12")]
    assert list(load("facts").facts(listed, {})) == ["budget tickercast -", "budget-name b/4"]


@pytest.mark.parametrize("refuses", ["projects describe", "budgets list", "nothing"])
def test_destroy_looks_for_a_budget_and_says_where_it_may_not(tmp_path: Path, refuses: str) -> None:
    script = (
        f"state={tmp_path}; project=my-project; mode=drop; budget=; g=(asked); source deploy/cloud.sh; "
        "source deploy/gather.sh; source deploy/drop.sh; known_service() { true; }; : >$state/facts; "
        f"asked() {{ [[ $* != *'{refuses}'* ]] && echo billingAccounts/1; }}; "
        "gather_budget; wait_for_lists; mode=plan; drop_budget"
    )
    done = subprocess.run(["bash", "-euc", script], cwd=PROJECT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert ("unknown budget tickercast" in done.stdout) == (refuses != "nothing")


def test_every_model_that_can_be_served_can_be_deployed() -> None:
    names = sorted({*catalogue.BASELINES, *catalogue.STATISTICAL, DIRECTION} - {"random-walk"})
    code, said = served(",".join(["champion", *names]))
    assert code == 0, said


@pytest.mark.parametrize(
    ("models", "packages"),
    [("champion", set()), ("champion,garch", {"arch"}), ("champion,prophet, auto-ets", {"prophet", "statsforecast"})],
)
def test_the_bundle_of_the_function_has_the_packages_of_the_listed_models(
    models: str, packages: set[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bundles = load("bundle")
    monkeypatch.setenv("TICKERCAST_MODELS", models)
    wheel = tmp_path / "w.whl"
    wheel.touch()
    monkeypatch.setattr(bundles, "wheel", lambda folder: wheel)
    bundles.function(tmp_path)
    pinned = set(re.findall(r"^([a-z0-9-]+)==", (tmp_path / "requirements.txt").read_text(), re.MULTILINE))
    assert pinned & {"arch", "prophet", "statsforecast"} == packages
    assert not pinned & {"tensorflow", "tensorflow-cpu", "mlflow", "xgboost-cpu", "streamlit"}
    assert {"onnxruntime", "numpy", "pandas"} <= pinned


def test_all_that_the_containers_copy_is_there_or_made_by_make_bundles() -> None:
    bundles = load("bundle")
    images = ("function", "aws", "worker", "dashboard", "api", "mlflow")
    made = {f"dist/{name}" for name in images if hasattr(bundles, name)}
    ignored = (PROJECT / ".dockerignore").read_text().split()
    for source in re.findall(r"^COPY (?!--from)(?:--\S+ )?(\S+) ", DOCKERFILE, re.MULTILINE):
        assert (PROJECT / source).exists() or "/".join(source.split("/")[:2]) in made, source
        assert f"!{source}" in ignored or f"!{source.split('/')[0]}" in ignored, source


def test_no_container_runs_as_root_or_on_a_base_that_moves() -> None:
    stages = dict(re.findall(r"^FROM (\S+) AS (\S+)$", DOCKERFILE, re.MULTILINE))
    assert set(stages) == {"${PYTHON}", "installer", "base"}
    assert re.search(r"^ARG PYTHON=python:3\.11\.\d+-slim-bookworm@sha256:[0-9a-f]{64}$", DOCKERFILE, re.MULTILINE)
    for target in ("function", "worker", "mlflow", "dashboard", "api"):
        [stage] = re.findall(rf"^FROM base AS {target}\n(.*?)(?=^FROM|\Z)", DOCKERFILE, re.MULTILINE | re.DOTALL)
        assert "HEALTHCHECK" in stage
        assert "USER" not in stage
    assert re.search(r"^FROM \$\{PYTHON\} AS base\n(?:.+\n)*?USER 1000$", DOCKERFILE, re.MULTILINE)


def test_compose_builds_stages_that_exist_and_opens_ports_on_this_machine_only() -> None:
    services = yaml.safe_load((PROJECT / "compose.yaml").read_text())["services"]
    assert set(services) == {"function", "postgres", "mlflow", "prefect", "deploy", "worker", "dashboard", "api"}
    for service in services.values():
        if "build" in service:
            assert f"AS {service['build']['target']}\n" in DOCKERFILE
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))


NOT_OF_THE_FLOWS = {
    *("home", "model_bucket", "function_hosts", "function_url", "iap_audience", "google_cloud_project", "log_format"),
    *("bigquery_emulator_host", "storage_emulator_host", "max_query_gb", "query_timeout_s", "query_memory_mb"),
    *("companion_deadline_s", "max_file_mb", "max_event_age_h"),
    *("oidc_issuer", "oidc_client_id", "oidc_client_secret"),
    *("dashboard_url", "dashboard_viewers", "dashboard_operators"),
}
"""Settings of the function, of the dashboard, of queries and of this machine, whose defaults suit a worker."""


def test_compose_passes_every_setting_of_the_flows_to_the_worker() -> None:
    passed = yaml.safe_load((PROJECT / "compose.yaml").read_text())["services"]["worker"]["environment"]
    names = {
        name: field.validation_alias or f"TICKERCAST_{name.upper()}"
        for name, field in config.Settings.model_fields.items()
    }
    assert {name for name in names if names[name] not in passed} == NOT_OF_THE_FLOWS
    for name in operations._WORK:
        assert passed[names[name]] == f"${{{names[name]}:-}}"


def test_both_ways_to_google_cloud_have_the_same_number_of_events_at_once() -> None:
    [by_pulumi] = re.findall(r"^AT_ONCE = (\d+)$", (PROJECT / "infra" / "__main__.py").read_text(), re.MULTILINE)
    [by_setup] = re.findall(r" concurrency=(\d+) ", (PROJECT / "deploy" / "options.sh").read_text())
    [recorded] = re.findall(r'"THREADS": "(\d+)"', PAGES["deployment"])
    assert by_pulumi == by_setup == recorded


def test_the_bill_that_the_page_of_google_cloud_names_is_the_estimate() -> None:
    [few, many] = re.findall(
        r"Ten symbols a day are estimated at (\d+) USD a month, 8,000 at \[(\d+)\]", PAGES["google-cloud"]
    )[0]
    assert (int(few), int(many)) == (round(cost.total(cost.Plan(10))), round(cost.total(cost.Plan(8000))))


def test_an_event_may_take_as_long_as_the_pages_say() -> None:
    [seconds] = re.findall(r"^--timeout=(\d+)s$", (PROJECT / "deploy" / "function.sh").read_text(), re.MULTILINE)
    assert f"| {seconds} s per event |" in PAGES["limits"]


def test_the_mlflow_server_starts_no_processes_for_jobs_that_nobody_asks_for(tmp_path: Path) -> None:
    (tmp_path / "mlflow").write_text("#!/bin/sh\nexec env\n")
    (tmp_path / "mlflow").chmod(0o755)
    given = ("BACKEND_STORE_URI", "ARTIFACTS_DESTINATION", "ADMIN_PASSWORD", "FLASK_SERVER_SECRET_KEY")
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "TMPDIR": str(tmp_path)}
    environment |= {f"MLFLOW_{name}": "given" for name in given}
    done = subprocess.run([PROJECT / "deploy" / "mlflow-server.sh"], env=environment, capture_output=True, text=True)
    assert "MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false" in done.stdout.splitlines(), done.stderr


def test_the_mlflow_server_does_not_start_without_a_password() -> None:
    environment = {"PATH": "/usr/bin:/bin", "MLFLOW_BACKEND_STORE_URI": "x", "MLFLOW_ARTIFACTS_DESTINATION": "y"}
    done = subprocess.run([PROJECT / "deploy" / "mlflow-server.sh"], env=environment, capture_output=True, text=True)
    assert (done.returncode, "MLFLOW_ADMIN_PASSWORD is not set" in done.stderr) == (2, True)


def test_the_workflow_deploys_by_workload_identity_after_the_tests_and_with_no_key() -> None:
    text = (PROJECT / ".github" / "workflows" / "deploy.yml").read_text()
    jobs = yaml.safe_load(text)["jobs"]
    assert jobs["deploy"]["permissions"] == {"contents": "read", "id-token": "write"}
    assert set(jobs["deploy"]["needs"]) == {"test", "bundles"}
    assert "workload_identity_provider" in text
    assert not re.search(r"credentials_json|secrets\.", text)
    named = [
        step
        for step in jobs["deploy"]["steps"]
        if "setup.sh" in step.get("run", "") or "rollout" in step.get("run", "")
    ]
    assert len(named) == 2
    assert all(
        step["env"]["OPTIONS"] == "${{ vars.GCP_OPTIONS }}" and '"${options[@]}"' in step["run"] for step in named
    )


def test_every_bundle_that_is_made_gets_a_bill_of_materials_and_is_built() -> None:
    [recipe] = re.findall(
        r"^bundles: function-bundle.*\n((?:\t.+\n)+)", (PROJECT / "Makefile").read_text(), re.MULTILINE
    )
    made = {"function", *re.findall(r"deploy/bundle\.py (\w+)", recipe)}
    workflow = (PROJECT / ".github" / "workflows" / "deploy.yml").read_text()
    [listed] = re.findall(r"for name in (.+); do", workflow)
    assert set(listed.split()) == made


def test_the_pages_that_follow_from_code_and_tables_are_up_to_date() -> None:
    docs = load("docs")
    assert PAGES["configuration"] == docs.configuration(), "run `make docs`"
    for name in ("security", "cost"):
        assert PAGES[name] == docs.filled(PAGES[name]), "run `make docs`"
        assert "<!--" in PAGES[name]


def test_the_runbook_has_an_entry_for_each_alert_and_each_says_what_it_means_and_what_to_do() -> None:
    entries = dict(re.findall(r"^## ([^\n]+)\n\n(.*?)(?=^## |\Z)", PAGES["operations"], re.MULTILINE | re.DOTALL))
    for alert in ALERTS:
        assert "*Means*:" in entries[alert]
        assert "*Do*:" in entries[alert]
    for path in (PROJECT / "deploy" / "config").glob("alert-*.json"):
        [heading] = re.findall(r"section (.+)\.", path.read_text())
        assert heading in entries


def test_every_link_between_the_pages_leads_to_a_file() -> None:
    for name, text in PAGES.items():
        for target in re.findall(r"\]\((?!http)([^)#]+)\)", text):
            assert (PROJECT / "docs" / target).exists(), (name, target)


def test_every_column_of_the_reports_is_one_of_its_view(tmp_path: Path) -> None:
    warehouse = DuckDBWarehouse(tmp_path / "w.duckdb", config.resource("sql"))
    warehouse.provision()
    first, second = PAGES["looker-studio"].split("## Page 2")
    asked = [("predicted_prices", row) for row in re.findall(r"^\| (?!chart|-)(.+) \|$", first, re.MULTILINE)]
    asked += re.findall(r"^\| [^|]+ \| `(\w+)` \| (.+) \|$", second, re.MULTILINE)
    assert len(asked) > 12
    for view, row in asked:
        columns = set(warehouse.query(f"SELECT * FROM {view} LIMIT 0").columns)
        named = set(re.findall(r"`(\w+)`", row)) - {view}
        assert named <= columns, (view, named - columns)


def test_every_command_that_the_pages_name_is_one() -> None:
    scripts = {"cloud": "options", "destroy": "options", "aws": "aws"}
    for text in PAGES.values():
        for line in re.findall(r"^(\./setup\.sh .+?)(?: +#.*)?$", text.replace("\\\n", " "), re.MULTILINE):
            script, what, *options = shlex.split(line)
            assert (PROJECT / script).exists()
            known = (PROJECT / "deploy" / f"{scripts[what]}.sh").read_text()
            for option in options:
                assert not option.startswith("--") or f"{option})" in known


@pytest.mark.skipif(shutil.which("gcloud") is None, reason="gcloud is not installed")
def test_every_gcloud_command_of_the_pages_is_one_that_gcloud_takes(tmp_path: Path) -> None:
    joined = "\n".join(text.replace("\\\n", " ") for text in PAGES.values())
    commands = sorted(set(re.findall(r"^ *(gcloud .+?)(?: +#.*)?$", joined, re.MULTILINE)))
    assert len(commands) > 8
    keep_from_the_network(tmp_path)
    (tmp_path / "commands").write_text(json.dumps([{"command_string": command} for command in commands]))
    done = subprocess.run(
        ["gcloud", "meta", "lint-gcloud-commands", f"--commands-file={tmp_path / 'commands'}"],
        env=os.environ | {"CLOUDSDK_CONFIG": str(tmp_path), "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "1"},
        capture_output=True,
        text=True,
    )
    linted = json.loads(done.stdout)
    assert len(linted) == len(commands)
    assert [(one["command_string"], one["error_message"]) for one in linted if not one["success"]] == []
