"""Read the lists of gcloud and bq, and print the state of the project as one fact a line.

A step of setup.sh is done if its fact is among them.

    python deploy/facts.py STATE_FOLDER
"""

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

CONFIG = Path(__file__).parent / "config"
USES = ("data", "models", "builds", "mlflow")
"""The uses of the buckets."""

_FORMER_CONCURRENCY = 4
"""The default up to version 0.2.0, which nobody had to choose."""

_REGISTRY = "MLFLOW_TRACKING_URI"

_DATASET_ROLES = {
    "WRITER": "roles/bigquery.dataEditor",
    "READER": "roles/bigquery.dataViewer",
    "OWNER": "roles/bigquery.dataOwner",
}


def facts(listed: Mapping[str, Any], config: Mapping[str, Any]) -> Iterator[str]:
    """The facts about a project.

    Args:
        listed: the lists by name; a name is missing if its API is not enabled or its resource does not exist.
        config: the files of deploy/config by their stems: what buckets and alerts should be.

    >>> policy = {"bindings": [{"role": "roles/run.invoker", "members": ["serviceAccount:a@b"]}]}
    >>> list(facts({"policy-function": policy, "accounts": [{"email": "a@b"}]}, {}))
    ['account a@b', 'active a@b', 'grant serviceAccount:a@b roles/run.invoker function -']
    """
    yield from (f"service {one['config']['name']}" for one in listed.get("services", ()))
    for one in listed.get("accounts", ()):
        yield f"account {one['email']}"
        if not one.get("disabled"):
            yield f"active {one['email']}"
    for one in listed.get("buckets", ()):
        yield f"bucket {one['name']}"
        yield f"location {one['name']} {one['location'].lower()}"
        yield from (f"settings {one['name']} {use}" for use in USES if _is_set_up(one, config.get(f"lifecycle-{use}")))
    yield from _dataset(listed.get("dataset"))
    for kind in ("topic", "subscription"):
        yield from (f"{kind} {_last(one['name'])}" for one in listed.get(f"{kind}s", ()))
    for one in listed.get("subscriptions", ()):
        if "deadLetterPolicy" in one:
            policy = one["deadLetterPolicy"]
            attempts = policy.get("maxDeliveryAttempts")
            yield f"dead-letter {_last(one['name'])} {_last(policy.get('deadLetterTopic', '-'))} {attempts}"
    yield from _function(listed.get("functions", ()), listed.get("triggers", ()))
    yield from (f"cpu-boost {one['metadata']['name']}" for one in listed.get("runs", ()) if _is_boosted(one))
    yield from (f"run {one['metadata']['name']}" for one in listed.get("runs", ()))
    yield from (f"server {one['metadata']['name']} {_settings(one)}" for one in listed.get("runs", ()))
    wanted = {one["displayName"]: one for stem, one in config.items() if stem.startswith("alert-")}
    for one in listed.get("alerts", ()):
        yield from _alert(one, wanted.get(one["displayName"]))
    yield from _day(listed)
    yield from _extras(listed)
    yield from _options(listed)
    for name, policy in listed.items():
        if name.startswith("policy-"):
            yield from _grants(policy, name.removeprefix("policy-"))


def _day(listed: Mapping[str, Any]) -> Iterator[str]:
    """The jobs with their images, schedules, secrets and watchlist."""
    for one in listed.get("jobs", ()):
        yield f"job-name {one['metadata']['name']}"
        yield f"job {one['metadata']['name']} {_settings(one)}"
    yield from (f"repository {_last(one['name'])}" for one in listed.get("repositories", ()))
    for one in listed.get("schedules", ()):
        name, uri = _last(one["name"]), one.get("httpTarget", {}).get("uri", "-")
        yield f"schedule-job {name}"
        if one.get("state") == "PAUSED":
            yield f"paused {name}"
        else:
            yield f"schedule {name} {one['schedule']} {one['timeZone']} {uri} {one.get('description', '')}".rstrip()
    yield from (f"secret {_last(one['name'])}" for one in listed.get("secrets", ()))
    for one in listed.get("objects", ()):
        yield f"object {one['name']}"
        yield f"object {one['name']} {one.get('md5_hash', '-')}"
    for name, found in listed.items():
        kind, _, of = name.partition("-")
        if kind == "versions":
            yield from _versions(f"tickercast-{of}", found)
        for image in found if kind == "images" else ():
            for tag in image.get("tags", ()):
                yield f"image {of} {tag}"
                yield f"digest {of} {tag} {image['version']}"


def _versions(secret: str, versions: Any) -> Iterator[str]:
    """The enabled versions of a secret. The newest alone is read: if it is disabled or destroyed, the secret is not."""
    states = {int(_last(one["name"])): one["state"] for one in versions}
    enabled = [number for number, state in sorted(states.items()) if state == "ENABLED"]
    newest = max(states, default=0)
    yield from (f"secret-former {secret} {number}" for number in enabled if number != newest)
    if newest in enabled:
        yield f"secret-version {secret}"
        yield f"secret-newest {secret} {newest}"


def _extras(listed: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"database-instance {one['name']}" for one in listed.get("instances", ()))
    yield from (f"database {one['name']}" for one in listed.get("databases", ()))
    yield from (f"database-user {one['name']}" for one in listed.get("database-users", ()))
    for one in _budgets(listed):
        amount = one.get("amount", {}).get("specifiedAmount", {})
        yield f"budget {one['displayName']} {amount.get('units', '-')}"
        yield f"budget-name {one['name']}"


def _budgets(listed: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The budgets of this project alone: another project with tickercast has one of the same name."""
    project = listed.get("project", {})
    named = {f"projects/{project.get(key)}" for key in ("projectId", "projectNumber")}
    for one in listed.get("budgets", ()):
        projects = one.get("budgetFilter", {}).get("projects", ())
        if projects and named >= {*projects}:
            yield one


def _options(listed: Mapping[str, Any]) -> Iterator[str]:
    """The options of setup.sh that the project was deployed with."""
    for one in listed.get("functions", ()):
        if one.get("state") == "ACTIVE":
            yield from _options_of_function(one.get("serviceConfig", {}))
    for one in listed.get("jobs", ()):
        [container] = one["spec"]["template"]["spec"]["template"]["spec"]["containers"]
        match one["metadata"]["name"], container:
            case "tickercast-daily", {"resources": {"limits": {"memory": memory}}}:
                yield f"option --day-memory-gib {memory.removesuffix('Gi')}"
                yield from (f"registry {one['value']}" for one in container.get("env", ()) if one["name"] == _REGISTRY)
            case "tickercast-hourly", {"args": args}:
                yield f"option --hourly {','.join(word for word in args[1:] if not word.startswith('--'))}"
    zones = {_last(one["name"]): one["timeZone"] for one in listed.get("schedules", ())}
    if "tickercast-daily" in zones:
        yield f"option --time-zone {zones['tickercast-daily']}"
    parts = dict.fromkeys(zones, "yes") | {one["metadata"]["name"]: _let_in(one) for one in listed.get("runs", ())}
    for part in ("mlflow", "dashboard", "api", "ai-forecast"):
        if f"tickercast-{part}" in parts:
            yield f"option --with-{part} {parts[f'tickercast-{part}']}"


def _let_in(service: Mapping[str, Any]) -> str:
    """The member that setup.sh let in when it deployed a server; "yes" where that is not known."""
    [container] = service["spec"]["template"].get("spec", {}).get("containers") or [{}]
    return next((str(one["value"]) for one in container.get("env", ()) if one["name"] == "SETUP_WITH"), "yes")


def _options_of_function(service: Mapping[str, Any]) -> Iterator[str]:
    variables = service.get("environmentVariables", {})
    at_once = service.get("maxInstanceRequestConcurrency")
    found = {
        "--models": variables.get("TICKERCAST_MODELS", "champion"),
        "--max-file-mb": variables.get("TICKERCAST_MAX_FILE_MB"),
        "--max-instances": service.get("maxInstanceCount"),
        "--concurrency": None if at_once == _FORMER_CONCURRENCY else at_once,
    }
    yield from (f"option {name} {value}" for name, value in found.items() if value)


def _settings(resource: Mapping[str, Any]) -> str:
    """The label of what a job or a server was deployed with; a deployment that failed has left its label, too."""
    return str(resource["metadata"].get("labels", {}).get("tickercast-settings", "-")) if _is_ready(resource) else "-"


def _is_ready(resource: Mapping[str, Any]) -> bool:
    conditions = resource.get("status", {}).get("conditions", ())
    return all(one["status"] == "True" for one in conditions if one["type"] == "Ready")


def _grants(policy: Mapping[str, Any], resource: str) -> Iterator[str]:
    for binding in policy.get("bindings", ()):
        title = binding.get("condition", {}).get("title", "-")
        yield from (f"grant {member} {binding['role']} {resource} {title}" for member in binding.get("members", ()))


def _alert(policy: Mapping[str, Any], wanted: Mapping[str, Any] | None) -> Iterator[str]:
    """An alert policy; its settings, if it is on and as it is wanted; and the channels that it goes to."""
    name, channels = policy["displayName"], policy.get("notificationChannels", ())
    yield f"alert {name}"
    yield f"alert-name {policy['name']} {name}"
    if channels:
        yield f"alert-channels {','.join(channels)} {name}"
    if wanted and policy.get("enabled", True) and _holds(policy, wanted):
        yield f"alert-settings {name}"
        if len(channels) == 1:
            yield f"alert-settings {name} to {_last(channels[0])}"


def _holds(found: Any, wanted: Any) -> bool:
    """Whether a resource has all that is wanted: Google adds names and records, and leaves out zeros."""
    if isinstance(wanted, Mapping):
        return isinstance(found, Mapping) and all(_holds(found.get(key), value) for key, value in wanted.items())
    if isinstance(wanted, list):
        return isinstance(found, list) and len(found) == len(wanted) and all(map(_holds, found, wanted))
    return bool(found == wanted or (not found and not wanted))


def _is_set_up(bucket: Mapping[str, Any], lifecycle: Any) -> bool:
    settings = (
        bucket.get("uniform_bucket_level_access"),
        bucket.get("public_access_prevention"),
        bucket.get("versioning_enabled"),
    )
    return settings == (True, "enforced", True) and bucket.get("lifecycle_config") == lifecycle


def _dataset(dataset: Mapping[str, Any] | None) -> Iterator[str]:
    if not dataset:
        return
    yield f"dataset {dataset['datasetReference']['datasetId']}"
    for entry in dataset.get("access", ()):
        role = _DATASET_ROLES.get(entry.get("role", ""), entry.get("role", ""))
        if "userByEmail" in entry:
            yield f"grant serviceAccount:{entry['userByEmail']} {role} dataset -"


def _function(functions: Any, triggers: Any) -> Iterator[str]:
    subscriptions = {one["name"]: _last(one["transport"]["pubsub"]["subscription"]) for one in triggers}
    for one in functions:
        yield f"function {_last(one['name'])}"
        if one.get("state") == "ACTIVE":
            yield f"deployed {_last(one['name'])} {one.get('labels', {}).get('tickercast-source', '-')}"
        trigger = one.get("eventTrigger", {}).get("trigger", "")
        if trigger in subscriptions:
            yield f"trigger-subscription {subscriptions[trigger]}"


def _is_boosted(service: Mapping[str, Any]) -> bool:
    annotations = service["spec"]["template"]["metadata"].get("annotations", {})
    boosted = annotations.get("run.googleapis.com/startup-cpu-boost", "").lower() == "true"
    return boosted and _is_ready(service)


def _last(name: str) -> str:
    return name.rpartition("/")[2]


def main(folder: Path) -> None:
    """Print the facts of a folder that holds one JSON file for each list."""
    listed = {path.stem: json.loads(path.read_text() or "null") or {} for path in sorted(folder.glob("*.json"))}
    config = {path.stem: json.loads(path.read_text()) for path in CONFIG.glob("*.json")}
    for fact in facts(listed, config):
        print(fact)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
