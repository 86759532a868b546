"""The service on Google Cloud as Pulumi resources: the same that `./setup.sh cloud` makes, one by one.

`deploy/resources.tsv` and `deploy/permissions.tsv` say what there is and why; a test compares both ways with them. Use
one way or the other in a project. Build first: `make function-bundle`, and the worker's image with
`deploy/cloudbuild.yaml`. Afterwards: `tickercast provision`, and the two updates that docs/google-cloud.md names.

    pulumi config set project my-project && pulumi config set region europe-west3
    pulumi config set image europe-west3-docker.pkg.dev/my-project/tickercast/worker@sha256:…
    pulumi up
"""

import csv
import json
from pathlib import Path
from typing import Any

import pulumi
import pulumi_gcp as gcp

DEPLOY = Path(__file__).parents[1] / "deploy"
FUNCTION = "tickercast-forecast"
DEAD_LETTER = "tickercast-dead-letter"
AT_ONCE = 3
"""The events that an instance of the function handles at once: the default of `--concurrency`."""

config = pulumi.Config()
project, region = config.require("project"), config.require("region")
time_zone = config.get("time_zone") or "America/New_York"
number = gcp.organizations.get_project(project_id=project).number


def rows(name: str) -> list[dict[str, str]]:
    """A table of deploy/, with the rows of what is always made."""
    lines = csv.DictReader((DEPLOY / f"{name}.tsv").read_text().splitlines(), delimiter="\t")
    return [row for row in lines if row["when"] in ("-", "schedule")]


def names(kind: str) -> list[str]:
    """The names of the resources of a kind."""
    return [row["name"] for row in rows("resources") if row["kind"] == kind]


def settings(name: str) -> Any:
    """A JSON file of deploy/config."""
    return json.loads((DEPLOY / "config" / f"{name}.json").read_text())


def bucket_name(use: str) -> str:
    """The name of the bucket for a use."""
    return f"{project}-tickercast-{use}"


services = [
    gcp.projects.Service(name, project=project, service=f"{name}.googleapis.com", disable_on_destroy=False)
    for name in names("service")
]
enabled = pulumi.ResourceOptions(depends_on=services)

accounts = {
    name.removeprefix("tickercast-"): gcp.serviceaccount.Account(
        name,
        project=project,
        account_id=name,
        display_name=f"tickercast: {row['why']}",
        opts=enabled,
    )
    for row in rows("resources")
    if row["kind"] == "account"
    for name in [row["name"]]
}

buckets = {
    use: gcp.storage.Bucket(
        f"bucket-{use}",
        project=project,
        name=bucket_name(use),
        location=region,
        uniform_bucket_level_access=True,
        public_access_prevention="enforced",
        versioning={"enabled": True},
        lifecycle_rules=[
            {
                "action": {"type": rule["action"]["type"]},
                "condition": {
                    "age": rule["condition"].get("age"),
                    "matches_prefixes": rule["condition"].get("matchesPrefix"),
                    "days_since_noncurrent_time": rule["condition"].get("daysSinceNoncurrentTime"),
                },
            }
            for rule in settings(f"lifecycle-{use}")["rule"]
        ],
        opts=enabled,
    )
    for use in names("bucket")
}

dataset = gcp.bigquery.Dataset(
    "dataset",
    project=project,
    dataset_id="tickercast",
    location=region,
    description="Prices and forecasts by tickercast",
    opts=enabled,
)
dead_letter = gcp.pubsub.Topic("dead-letter", project=project, name=DEAD_LETTER, opts=enabled)
gcp.pubsub.Subscription(
    "dead-letter",
    project=project,
    name=DEAD_LETTER,
    topic=dead_letter.id,
    message_retention_duration="604800s",
    expiration_policy={"ttl": ""},
)
gcp.artifactregistry.Repository(
    "repository",
    project=project,
    location=region,
    repository_id="tickercast",
    format="DOCKER",
    description="Images of tickercast",
    opts=enabled,
)
for name in names("object"):
    gcp.storage.BucketObject(
        name.removesuffix(".txt"),
        bucket=buckets["data"].name,
        name=name,
        source=pulumi.FileAsset(str(DEPLOY / "config" / name)),
        opts=pulumi.ResourceOptions(ignore_changes=["source"]),  # who runs the service edits it there
    )

# Google creates its own agents on the first request for them.
eventarc_agent, pubsub_agent = (
    gcp.projects.ServiceIdentity(f"{name}-agent", project=project, service=f"{name}.googleapis.com", opts=enabled)
    for name in ("eventarc", "pubsub")
)
agents = {
    "storage-agent": gcp.storage.get_project_service_account_output(
        project=project, opts=pulumi.InvokeOutputOptions(depends_on=services)
    ).email_address,
    "pubsub-agent": pubsub_agent.email,
}


def member(who: str) -> pulumi.Input[str]:
    """The IAM member of a name in permissions.tsv."""
    email = agents[who] if who in agents else accounts[who].email
    return pulumi.Output.concat("serviceAccount:", email)


def only(name: str) -> dict[str, str] | None:
    """The condition of a grant."""
    prefixes = {
        "quarantine": f"projects/_/buckets/{bucket_name('data')}/objects/quarantine/",
        "sources": f"projects/_/buckets/gcf-v2-sources-{number}-",
    }
    return {"title": name, "expression": f'resource.name.startsWith("{prefixes[name]}")'} if name in prefixes else None


def grant(row: dict[str, str]) -> pulumi.Resource:
    """One row of permissions.tsv."""
    who, on = row["who"], row["on"]
    name = "-".join([who, row["role"].rpartition("/")[2], on, row["condition"]]).removesuffix("--")
    given: dict[str, Any] = {"role": row["role"], "member": member(who)}
    here = {"project": project, "location": region}
    match on:
        case "project":
            return gcp.projects.IAMMember(name, project=project, condition=only(row["condition"]), **given)
        case "data" | "models" | "builds":
            return gcp.storage.BucketIAMMember(name, bucket=buckets[on].name, condition=only(row["condition"]), **given)
        case "dataset":
            return gcp.bigquery.DatasetIamMember(name, project=project, dataset_id=dataset.dataset_id, **given)
        case "function":
            return gcp.cloudrunv2.ServiceIamMember(name, name=function.name, **here, **given)
        case "daily" | "watch":
            return gcp.cloudrunv2.JobIamMember(name, name=jobs[on].name, **here, **given)
        case "dead-letter":
            return gcp.pubsub.TopicIAMMember(name, project=project, topic=dead_letter.name, **given)
        case "subscription":
            return gcp.pubsub.SubscriptionIAMMember(name, project=project, subscription=subscription, **given)
        case unknown:
            raise ValueError(f"permissions.tsv names {unknown}, which this program does not make")


LATER = ("function", "subscription", "daily", "watch")
"""The resources that are made after the grants on everything else, which their build, trigger and first run need."""

prepared = [eventarc_agent, *(grant(row) for row in rows("permissions") if row["on"] not in LATER)]

engines = {
    "TICKERCAST_BUCKET": f"gs://{bucket_name('data')}",
    "TICKERCAST_MODEL_BUCKET": f"gs://{bucket_name('models')}",
    "TICKERCAST_WAREHOUSE": f"bigquery://{project}/tickercast?location={region}",
    "GOOGLE_CLOUD_PROJECT": project,
}
source = gcp.storage.BucketObject(
    "function",
    bucket=buckets["builds"].name,
    name="source/function.zip",
    source=pulumi.FileArchive(str(DEPLOY.parent / "dist" / "function")),
)
function = gcp.cloudfunctionsv2.Function(
    "function",
    project=project,
    location=region,
    name=FUNCTION,
    build_config={
        "runtime": "python311",
        "entry_point": "forecast",
        "service_account": accounts["builder"].name,
        "source": {"storage_source": {"bucket": source.bucket, "object": source.name}},
    },
    service_config={
        "available_memory": "2048Mi",
        "available_cpu": "1",
        "max_instance_request_concurrency": AT_ONCE,
        "max_instance_count": 20,
        "min_instance_count": 0,
        "timeout_seconds": 300,
        "ingress_settings": "ALLOW_INTERNAL_ONLY",
        "service_account_email": accounts["runtime"].email,
        "environment_variables": engines
        | {"TICKERCAST_MAX_FILE_MB": "64", "TICKERCAST_MAX_EVENT_AGE_H": "12", "THREADS": str(AT_ONCE)},
    },
    event_trigger={
        "event_type": "google.cloud.storage.object.v1.finalized",
        "event_filters": [{"attribute": "bucket", "value": buckets["data"].name}],
        "trigger_region": region,
        "retry_policy": "RETRY_POLICY_RETRY",
        "service_account_email": accounts["trigger"].email,
    },
    opts=pulumi.ResourceOptions(depends_on=prepared),
)
# Eventarc makes the subscription of the trigger that the function's deployment makes, and chooses both names.
trigger = gcp.eventarc.Trigger.get("trigger", function.event_trigger.trigger)
subscription = trigger.transport.pubsub.subscription.apply(lambda path: path.rpartition("/")[2])
pulumi.export("subscription", subscription)

watchlist = f"gs://{bucket_name('data')}/watchlist.txt"
COMMANDS = {
    "daily": (["daily", "--wait=20"], "2", "8Gi", "21600s", 2),
    "watch": (["alerts", f"--watchlist={watchlist}", "--failures-only"], "1", "1Gi", "900s", 1),
}
jobs = {
    name: gcp.cloudrunv2.Job(
        f"job-{name}",
        project=project,
        location=region,
        name=f"tickercast-{name}",
        deletion_protection=False,
        template={
            "task_count": 1,
            "template": {
                "service_account": accounts["trainer"].email,
                "max_retries": retries,
                "timeout": timeout,
                "containers": [
                    {
                        "image": config.require("image"),
                        "commands": ["tickercast"],
                        "args": arguments,
                        "resources": {"limits": {"cpu": cpu, "memory": memory}},
                        "envs": [
                            {"name": key, "value": value}
                            for key, value in {
                                **engines,
                                "TICKERCAST_WATCHLIST": watchlist,
                                "TICKERCAST_HOURLY_WATCHLIST": f"gs://{bucket_name('data')}/hourly.txt",
                                "MLFLOW_TRACKING_URI": "bucket://registry/mlflow.db",
                            }.items()
                        ],
                    }
                ],
            },
        },
        opts=pulumi.ResourceOptions(depends_on=prepared),
    )
    for name, (arguments, cpu, memory, timeout, retries) in COMMANDS.items()
}
for name, cron in {"daily": "30 18 * * 1-5", "watch": "0 3,6 * * *"}.items():
    gcp.cloudscheduler.Job(
        f"schedule-{name}",
        project=project,
        region=region,
        name=f"tickercast-{name}",
        schedule=cron,
        time_zone=time_zone,
        retry_config={"retry_count": 3},
        http_target={
            "http_method": "POST",
            "uri": f"https://run.googleapis.com/v2/projects/{project}/locations/{region}/jobs/tickercast-{name}:run",
            "oauth_token": {"service_account_email": accounts["scheduler"].email},
        },
        opts=pulumi.ResourceOptions(depends_on=[jobs[name]]),
    )


def condition(one: dict[str, Any]) -> dict[str, Any]:
    """A condition of an alert's file, in the provider's words."""
    kind = next(key for key in one if key.startswith("condition"))
    words = {
        "filter": "filter",
        "comparison": "comparison",
        "thresholdValue": "threshold_value",
        "duration": "duration",
    }
    body: dict[str, Any] = {word: one[kind][key] for key, word in words.items() if key in one[kind]}
    if "aggregations" in one[kind]:
        inner = {
            "alignmentPeriod": "alignment_period",
            "perSeriesAligner": "per_series_aligner",
            "crossSeriesReducer": "cross_series_reducer",
        }
        body["aggregations"] = [
            {inner[key]: value for key, value in part.items()} for part in one[kind]["aggregations"]
        ]
    snake = {
        "conditionThreshold": "condition_threshold",
        "conditionAbsent": "condition_absent",
        "conditionMatchedLog": "condition_matched_log",
    }
    return {"display_name": one["displayName"], snake[kind]: body}


for name in ("function", "dead-letter", "day", "watch"):
    policy = settings(f"alert-{name}")
    limit = policy["alertStrategy"].get("notificationRateLimit")
    gcp.monitoring.AlertPolicy(
        f"alert-{name}",
        project=project,
        display_name=policy["displayName"],
        combiner=policy["combiner"],
        conditions=[condition(one) for one in policy["conditions"]],
        alert_strategy={"auto_close": policy["alertStrategy"]["autoClose"], "notification_rate_limit": limit},
        documentation={"content": policy["documentation"]["content"], "mime_type": "text/markdown"},
        opts=enabled,
    )


for permission in rows("permissions"):
    if permission["on"] in LATER:
        grant(permission)
