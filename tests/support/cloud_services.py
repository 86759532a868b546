"""The stand-in for a Google Cloud project's services for the day: images, jobs, servers, schedules, secrets, SQL."""

import base64
import copy
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from tests.support.stand_in import Answer, as_json

if TYPE_CHECKING:
    from tests.support.cloud_server import Call, CloudServer

NUMBER = "123456789012"
"""The number of the project, which Google uses in some places instead of its id."""


class Refusal(Exception):
    """An error that Google Cloud would answer with."""

    def __init__(self, status: int, kind: str, message: str) -> None:
        super().__init__(message)
        self.status, self.kind = status, kind

    def answer(self) -> Answer:
        reason = {404: "notFound", 409: "duplicate", 403: "accessDenied"}.get(self.status, "invalid")
        detail = {"message": str(self), "domain": "global", "reason": reason}
        body = {"code": self.status, "message": str(self), "status": self.kind, "errors": [detail]}
        return as_json({"error": body}, self.status)


Handler = Callable[["CloudServer", "Call"], Any]


def listed(key: str, prefix: str) -> Handler:
    return lambda cloud, call: {key: cloud.under(prefix.format(p=cloud.project, r=cloud.region, **call.named))}


def got(form: str) -> Handler:
    return lambda cloud, call: cloud.get(form.format(**call.named))


def dropped(form: str, answer: Mapping[str, Any] | None = None) -> Handler:
    def handle(cloud: "CloudServer", call: "Call") -> Any:
        cloud.drop(form.format(**call.named))
        return dict(answer or {})

    return handle


def done(answer: Mapping[str, Any], kind: str) -> dict[str, Any]:
    return {"name": "operations/one", "done": True, "response": {"@type": f"type.googleapis.com/{kind}", **answer}}


# ---------------------------------------------------------------- images


def _make_repository(cloud: "CloudServer", call: "Call") -> Any:
    name = f"{call.named['parent']}/repositories/{call.query['repositoryId']}"
    kept = cloud.make(name, call.body | {"name": name})
    return done(kept, "google.devtools.artifactregistry.v1.Repository") | {
        "name": f"{call.named['parent']}/operations/one"
    }


def _drop_repository(cloud: "CloudServer", call: "Call") -> Any:
    cloud.drop(call.named["name"])
    for name in [name for name in cloud.kept if name.startswith(f"{call.named['name']}/")]:
        cloud.drop(name)
    return done({}, "google.protobuf.Empty") | {
        "name": f"{call.named['name'].partition('/repositories')[0]}/operations/one"
    }


def _build(cloud: "CloudServer", call: "Call") -> Any:
    """Cloud Build pushes the image that the substitutions name."""
    image = call.body["substitutions"]["_IMAGE"]
    address, tag = image.rsplit(":", 1)
    _, project, repository, package = address.split("/")
    parent = f"projects/{project}/locations/{cloud.region}/repositories/{repository}"
    cloud.get(parent)
    source = call.body["source"]["storageSource"]
    cloud.get(f"b/{source['bucket']}/o/{source['object']}")
    digest = "sha256:" + hashlib.sha256(image.encode()).hexdigest()
    package = f"{parent}/packages/{package}"
    name = f"{package}/versions/{digest}"
    tags = [{"name": f"{package}/tags/{tag}", "version": name}]
    cloud.kept[name] = {
        "name": name,
        "relatedTags": tags,
        "metadata": {"name": f"{address}@{digest}", "imageSizeBytes": "1"},
    }
    build = f"projects/{project}/locations/{cloud.region}/builds/one"
    cloud.kept[build] = dict(call.body) | {"id": "one", "name": build, "status": "SUCCESS", "projectId": project}
    metadata = {"@type": "type.googleapis.com/google.devtools.cloudbuild.v1.BuildOperationMetadata"}
    operation = f"projects/{project}/locations/{cloud.region}/operations/build"
    return {"name": operation, "metadata": metadata | {"build": cloud.kept[build]}, "done": False}


# ---------------------------------------------------------------- jobs and servers


def _make_job(cloud: "CloudServer", call: "Call") -> Any:
    name = f"{call.named['parent']}/jobs/{call.body['metadata']['name']}"
    return cloud.make(name, _job(call.body))


def _replace_job(cloud: "CloudServer", call: "Call") -> Any:
    cloud.get(call.named["name"])
    cloud.kept[call.named["name"]] = _job(call.body)
    return cloud.kept[call.named["name"]]


def _make_service(cloud: "CloudServer", call: "Call") -> Any:
    name = f"{call.named['parent']}/services/{call.body['metadata']['name']}"
    return cloud.make(name, _ready(call.body))


def _job(body: Mapping[str, Any]) -> dict[str, Any]:
    ready = _ready(body)
    ready["status"] = {name: ready["status"][name] for name in ("observedGeneration", "conditions")}
    return ready


def _ready(body: Mapping[str, Any]) -> dict[str, Any]:
    ready = copy.deepcopy(dict(body))
    ready["metadata"] |= {"generation": 1, "selfLink": "link", "namespace": NUMBER}
    ready["status"] = {
        "observedGeneration": 1,
        "conditions": [{"type": "Ready", "status": "True"}, {"type": "RoutesReady", "status": "True"}],
        "latestReadyRevisionName": f"{body['metadata']['name']}-00001",
        "latestCreatedRevisionName": f"{body['metadata']['name']}-00001",
        "traffic": [{"revisionName": f"{body['metadata']['name']}-00001", "percent": 100, "latestRevision": True}],
        "url": f"https://{body['metadata']['name']}.run.app",
        "address": {"url": f"https://{body['metadata']['name']}.run.app"},
    }
    return ready


def _jobs(cloud: "CloudServer", call: "Call") -> Any:
    items = cloud.under(f"namespaces/{cloud.project}/jobs/")
    return {"apiVersion": "run.googleapis.com/v1", "kind": "JobList", "items": items}


# ---------------------------------------------------------------- schedules and secrets


def _make_schedule(cloud: "CloudServer", call: "Call") -> Any:
    return cloud.make(call.body["name"], call.body | {"state": "ENABLED"})


def _patch_schedule(cloud: "CloudServer", call: "Call") -> Any:
    cloud.get(call.named["name"]).update(call.body)
    return cloud.get(call.named["name"])


def _resume_schedule(cloud: "CloudServer", call: "Call") -> Any:
    cloud.get(call.named["name"])["state"] = "ENABLED"
    return cloud.get(call.named["name"])


def _make_secret(cloud: "CloudServer", call: "Call") -> Any:
    name = f"{call.named['parent']}/secrets/{call.query['secretId']}"
    return cloud.make(name, call.body | {"name": name})


def _add_version(cloud: "CloudServer", call: "Call") -> Any:
    secret = call.named["parent"]
    cloud.get(secret)
    number = len(_of_secret(cloud, secret)) + 1
    name = f"{secret}/versions/{number}"
    cloud.make(name, {"name": name, "state": "ENABLED"} | call.body)
    return {"name": name, "state": "ENABLED", "clientSpecifiedPayloadChecksum": True}


def _access(cloud: "CloudServer", call: "Call") -> Any:
    """The newest version, whether it is enabled or not."""
    newest = _of_secret(cloud, call.named["name"].removesuffix("/versions/latest"))[0]
    if newest["state"] != "ENABLED":
        raise Refusal(400, "FAILED_PRECONDITION", f"{newest['name']} is in {newest['state']} state.")
    return {"name": newest["name"], "payload": newest["payload"]}


def _versions(cloud: "CloudServer", call: "Call") -> Any:
    kept = _of_secret(cloud, call.named["parent"])
    return {"versions": [{key: one[key] for key in ("name", "state")} for one in kept]}


def _of_secret(cloud: "CloudServer", secret: str) -> list[dict[str, Any]]:
    """The versions of a secret, the newest first."""
    kept = cloud.under(f"{secret}/versions/")
    return sorted(kept, key=lambda one: int(one["name"].rpartition("/")[2]), reverse=True)


def _disable_version(cloud: "CloudServer", call: "Call") -> Any:
    version = cloud.get(call.named["name"])
    version["state"] = "DISABLED"
    return {key: version[key] for key in ("name", "state")}


def _drop_secret(cloud: "CloudServer", call: "Call") -> Any:
    for name in [name for name in cloud.kept if name.startswith(f"{call.named['name']}/versions/")]:
        cloud.drop(name)
    return cloud.drop(call.named["name"])


# ---------------------------------------------------------------- the database of MLflow


def _operation(kind: str) -> dict[str, Any]:
    return {
        "kind": "sql#operation",
        "name": "one",
        "status": "DONE",
        "operationType": kind,
        "targetProject": "my-project",
    }


def _make_instance(cloud: "CloudServer", call: "Call") -> Any:
    cloud.make(f"/instances/{call.body['name']}", call.body | {"state": "RUNNABLE", "project": cloud.project})
    return _operation("CREATE")


def _make_database(cloud: "CloudServer", call: "Call") -> Any:
    cloud.make(f"/instances/{call.named['instance']}/databases/{call.body['name']}", call.body)
    return _operation("CREATE_DATABASE")


def _make_user(cloud: "CloudServer", call: "Call") -> Any:
    cloud.make(f"/instances/{call.named['instance']}/users/{call.body['name']}", call.body)
    return _operation("CREATE_USER")


def _drop_instance(cloud: "CloudServer", call: "Call") -> Any:
    name = f"/instances/{call.named['instance']}"
    for inside in [kept for kept in cloud.kept if kept.startswith(f"{name}/")]:
        cloud.drop(inside)
    cloud.drop(name)
    return _operation("DELETE")


# ---------------------------------------------------------------- objects and budgets


def parts_of(boundary: str, content: bytes) -> tuple[dict[str, Any], bytes]:
    """The description and the content of an upload; gcloud ends its lines with a line feed alone."""
    parts = content.split(f"--{boundary}".encode())
    described, data = (part.split(b"\n\n", 1)[1].removesuffix(b"\n") for part in parts[1:3])
    return json.loads(described), data


def keep_object(cloud: "CloudServer", bucket: str, name: str, content: bytes) -> dict[str, Any]:
    """An object that was uploaded."""
    cloud.get(f"b/{bucket}")
    kept = {
        "kind": "storage#object",
        "name": name,
        "bucket": bucket,
        "generation": "1",
        "metageneration": "1",
        "size": str(len(content)),
        "md5Hash": base64.b64encode(hashlib.md5(content).digest()).decode(),
    }
    cloud.kept[f"b/{bucket}/o/{name}"] = kept
    cloud.contents[f"b/{bucket}/o/{name}"] = content
    return kept


def _objects(cloud: "CloudServer", call: "Call") -> Any:
    prefix = f"b/{call.named['bucket']}/o/"
    found = [kept for name, kept in cloud.kept.items() if name.startswith(prefix + call.query.get("prefix", ""))]
    return {"kind": "storage#objects", "items": found}


def _make_budget(cloud: "CloudServer", call: "Call") -> Any:
    name = f"{call.named['parent']}/budgets/{len(cloud.under(call.named['parent'] + '/budgets/')) + 1}"
    return cloud.make(name, call.body | {"name": name})


def _patch_budget(cloud: "CloudServer", call: "Call") -> Any:
    """What the mask names: all of a filter's other fields stay."""
    budget = cloud.get(call.named["name"])
    for path in call.query["updateMask"].split(","):
        kept, given, (*parents, field) = budget, call.body, path.split(".")
        for parent in parents:
            kept, given = kept.setdefault(parent, {}), given.get(parent, {})
        kept[field] = given.get(field)
    return budget


HANDLERS: dict[str, Handler] = {
    "artifactregistry.projects.locations.repositories.list": listed(
        "repositories", "projects/{p}/locations/{r}/repositories/"
    ),
    "artifactregistry.projects.locations.repositories.get": got("{name}"),
    "artifactregistry.projects.locations.repositories.create": _make_repository,
    "artifactregistry.projects.locations.repositories.delete": _drop_repository,
    "artifactregistry.projects.locations.repositories.packages.versions.list": listed("versions", "{parent}/versions/"),
    "cloudbuild.projects.locations.builds.create": _build,
    "cloudbuild.projects.locations.builds.get": got("{name}"),
    "run.namespaces.jobs.list": _jobs,
    "run.namespaces.jobs.get": got("{name}"),
    "run.namespaces.jobs.create": _make_job,
    "run.namespaces.jobs.replaceJob": _replace_job,
    "run.namespaces.jobs.delete": dropped("{name}", {"status": "Success"}),
    "run.namespaces.services.create": _make_service,
    "run.namespaces.services.delete": dropped("{name}", {"status": "Success"}),
    "cloudscheduler.projects.locations.jobs.list": listed("jobs", "{parent}/jobs/"),
    "cloudscheduler.projects.locations.jobs.get": got("{name}"),
    "cloudscheduler.projects.locations.jobs.create": _make_schedule,
    "cloudscheduler.projects.locations.jobs.patch": _patch_schedule,
    "cloudscheduler.projects.locations.jobs.resume": _resume_schedule,
    "cloudscheduler.projects.locations.jobs.delete": dropped("{name}"),
    "secretmanager.projects.secrets.list": listed("secrets", "projects/{p}/secrets/"),
    "secretmanager.projects.secrets.create": _make_secret,
    "secretmanager.projects.secrets.addVersion": _add_version,
    "secretmanager.projects.secrets.delete": _drop_secret,
    "secretmanager.projects.secrets.versions.list": _versions,
    "secretmanager.projects.secrets.versions.access": _access,
    "secretmanager.projects.secrets.versions.disable": _disable_version,
    "sql.instances.list": listed("items", "/instances/"),
    "sql.instances.get": got("/instances/{instance}"),
    "sql.instances.insert": _make_instance,
    "sql.instances.delete": _drop_instance,
    "sql.databases.list": listed("items", "/instances/{instance}/databases/"),
    "sql.databases.insert": _make_database,
    "sql.users.list": listed("items", "/instances/{instance}/users/"),
    "sql.users.insert": _make_user,
    "sql.operations.get": lambda cloud, call: _operation("CREATE"),
    "sql.tiers.list": lambda cloud, call: {"items": [{"tier": "db-f1-micro", "region": [cloud.region]}]},
    "storage.objects.list": _objects,
    "storage.objects.get": got("b/{bucket}/o/{object}"),
    "storage.objects.delete": dropped("b/{bucket}/o/{object}"),
    "cloudbilling.projects.getBillingInfo": lambda cloud, call: {
        "name": f"projects/{cloud.project}/billingInfo",
        "projectId": cloud.project,
        "billingAccountName": "billingAccounts/AAAAAA-BBBBBB-CCCCCC",
        "billingEnabled": True,
    },
    "billingbudgets.billingAccounts.budgets.list": listed("budgets", "{parent}/budgets/"),
    "billingbudgets.billingAccounts.budgets.create": _make_budget,
    "billingbudgets.billingAccounts.budgets.patch": _patch_budget,
    "billingbudgets.billingAccounts.budgets.get": got("{name}"),
    "billingbudgets.billingAccounts.budgets.delete": dropped("{name}"),
}

UPLOAD = re.compile(r"/(?:resumable/)?upload/storage/v1/b/([^/]+)/o")
