"""The deployment to AWS, as far as it can be looked at without an account."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tickercast import config

PROJECT = Path(__file__).parents[2]
STACK: dict[str, Any] = yaml.safe_load((PROJECT / "deploy" / "aws.yaml").read_text())
RESOURCES: dict[str, Any] = STACK["Resources"]
WHERE = ("--bucket", "my-bars", "--region", "eu-central-1")


def setup(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([PROJECT / "setup.sh", "aws", *words], capture_output=True, text=True, timeout=60)


@pytest.fixture
def identity(tmp_path: Path) -> str:
    (tmp_path / "google.json").write_text(json.dumps({"type": "external_account"}))
    return str(tmp_path / "google.json")


def test_a_dry_run_shows_resources_and_commands_and_needs_no_login(identity: str) -> None:
    done = setup(*WHERE, "--warehouse", "bigquery://project/forecasts", "--google", identity, "--dry-run")
    assert done.returncode == 0, done.stderr
    for name, resource in RESOURCES.items():
        assert re.search(rf"{resource['Type']}\s+{name}\n", done.stdout)
    given = dict(re.findall(r"(\w+)=(\S*)", done.stdout.partition("--parameter-overrides ")[2]))
    assert set(given) == set(STACK["Parameters"])
    assert given["GoogleProject"] == "project"
    assert done.stdout.endswith("dry run: nothing was changed\n")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((), "a bucket's name was needed"),
        (
            (*WHERE, "--warehouse", "sqlite://x"),
            "bigquery://PROJECT/DATASET or duckdb:///mnt/warehouse/FILE was needed",
        ),
        ((*WHERE, "--warehouse", "bigquery://p/d"), "--google FILE was needed"),
        ((*WHERE, "--warehouse", "bigquery://p/d", "--google", "setup.sh"), "no configuration of a workload identity"),
        ((*WHERE, "--warehouse", "duckdb:///mnt/warehouse/w.duckdb"), "--access-point ARN"),
        ((*WHERE, "--max-concurrency", "1"), "from 2 to 999"),
        ((*WHERE, "--region"), "without a value"),
        *(
            (("--bucket", name, *WHERE[2:]), "a name that S3 allows was needed")
            for name in ("my..bars", "192.168.5.4", "xn--bars", "bars-s3alias", "bars--x-s3")
        ),
        (
            (*WHERE, "--max-file-mb", "225"),
            "needs 1775 MiB, and --memory-mb is 1769. Lower --max-file-mb, or give more",
        ),
        ((*WHERE, "--max-file-mb", "9999"), "needs 70193 MiB, and --memory-mb is 1769. Lower --max-file-mb.\n"),
        ((*WHERE, "--stack", "bars-"), "it names a repository of ECR too"),
        ((*WHERE, "--notify", "me@example.org"), "the ARN of an SNS topic was needed"),
        (("--regoin", "x"), "an option of aws was needed"),
    ],
)
def test_a_wrong_option_is_one_sentence(words: tuple[str, ...], sentence: str) -> None:
    done = setup(*words)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert done.stderr.startswith("setup.sh: ")
    assert done.stderr.count("\n") == 1


def next_steps(access_point: str) -> str:
    given = f"bucket=bars region=eu-central-1 warehouse=duckdb:///mnt/warehouse/w.duckdb access_point={access_point}"
    script = f"source deploy/aws.sh; {given}; next_steps"
    return subprocess.run(["bash", "-euc", script], cwd=PROJECT, capture_output=True, text=True, check=True).stdout


def test_a_duckdb_file_is_provisioned_where_its_file_system_is_mounted() -> None:
    said = next_steps("arn:aws:elasticfilesystem:eu-central-1:1:access-point/fsap-1")
    assert "mount -t efs -o tls,accesspoint=fsap-1" in said
    assert said.endswith("  mountpoint /mnt/warehouse && tickercast provision && tickercast doctor\n")
    assert said.index("mount -t efs") < said.index("tickercast provision")
    assert "mount " not in next_steps("")


def test_the_largest_file_of_the_page_fits_into_the_memory_that_it_names() -> None:
    page = (PROJECT / "docs" / "aws.md").read_text()
    [named] = re.findall(r"(\d+) is enough for (\d+) MB, and (\d+), Lambda's most, for (\d+)", page)
    for memory, size in (named[:2], named[2:]):
        script = f"source deploy/function.sh; needed_mib 1 {size}; needed_mib 1 {int(size) + 1}"
        done = subprocess.run(["bash", "-euc", script], cwd=PROJECT, capture_output=True, text=True, check=True)
        fits, too_much = map(int, done.stdout.split())
        assert fits <= int(memory) < too_much


def test_the_function_may_read_the_bucket_and_write_to_quarantine_alone() -> None:
    [policy] = RESOURCES["Role"]["Properties"]["Policies"]
    granted: dict[str, set[str]] = {}
    for statement in policy["PolicyDocument"]["Statement"]:
        where = str(statement["Resource"])
        granted.setdefault(where, set()).update(statement["Action"])
        assert "*" not in "".join(statement["Action"])
    writes = {where for where, actions in granted.items() if any(":Put" in one or ":Delete" in one for one in actions)}
    assert {where for where in writes if "s3:::" in where} == {
        "{'Fn::Sub': 'arn:${AWS::Partition}:s3:::${BucketName}/quarantine/*'}"
    }


def test_the_queue_waits_for_the_function_and_gives_up_after_the_function_has() -> None:
    queue, function = RESOURCES["Queue"]["Properties"], RESOURCES["Function"]["Properties"]
    assert queue["VisibilityTimeout"] > function["Timeout"]
    hours = queue["VisibilityTimeout"] * queue["RedrivePolicy"]["maxReceiveCount"] / 3600
    assert config.Settings().max_event_age_h < hours < queue["MessageRetentionPeriod"] / 3600
    assert RESOURCES["Delivery"]["Properties"]["FunctionResponseTypes"] == ["ReportBatchItemFailures"]


def test_the_bucket_keeps_versions_blocks_the_public_and_stays() -> None:
    bucket = RESOURCES["Bucket"]
    assert bucket["Properties"]["VersioningConfiguration"] == {"Status": "Enabled"}
    assert set(bucket["Properties"]["PublicAccessBlockConfiguration"].values()) == {True}
    assert bucket["DeletionPolicy"] == bucket["UpdateReplacePolicy"] == "Retain"


def test_the_settings_of_the_function_are_settings() -> None:
    known = {f"TICKERCAST_{name.upper()}" for name in config.Settings.model_fields}
    known |= {"GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_PROJECT"}
    assert set(RESOURCES["Function"]["Properties"]["Environment"]["Variables"]) <= known
