"""A stand-in for a Google Cloud project, which the real `gcloud` and `bq` talk to as their HTTP proxy.

It keeps what was made, answers what is asked about it, and records each call. It refuses every method, parameter and
field that Google's published discovery documents do not know, and keeps each refusal in `refused`; it fails on demand.
"""

import copy
import functools
import io
import json
import re
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.client import HTTPMessage
from importlib import resources
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.support import cloud_services
from tests.support.cloud_services import Refusal
from tests.support.discovery import Discovery, Unpublished
from tests.support.stand_in import Answer, StandIn, as_json

NUMBER = cloud_services.NUMBER
DOCUMENTS = {
    "serviceusage": ("serviceusage.v1", "serviceusage.v1beta1"),
    "cloudresourcemanager": ("cloudresourcemanager.v1", "cloudresourcemanager.v3"),
    "iam": ("iam.v1",),
    "storage": ("storage.v1",),
    "pubsub": ("pubsub.v1",),
    "cloudfunctions": ("cloudfunctions.v2",),
    "eventarc": ("eventarc.v1",),
    "run": ("run.v1", "run.v2"),
    "monitoring": ("monitoring.v3",),
    "bigquery": ("bigquery.v2",),
    "artifactregistry": ("artifactregistry.v1",),
    "cloudbuild": ("cloudbuild.v1",),
    "cloudscheduler": ("cloudscheduler.v1",),
    "secretmanager": ("secretmanager.v1",),
    "sqladmin": ("sqladmin.v1beta4",),
    "iap": ("iap.v1",),
    "cloudbilling": ("cloudbilling.v1",),
    "billingbudgets": ("billingbudgets.v1",),
}
_DATASET_ROLES = {"roles/bigquery.dataEditor": "WRITER", "roles/bigquery.dataViewer": "READER"}
_UPLOAD = "/source-of-the-function.zip"
_ALWAYS_ON = ("serviceusage", "cloudresourcemanager")
_ASKING = re.compile(
    r"\.(get|list|access|getBillingInfo|getIamPolicy|getQueryResults|getStorageLayout|generateUploadUrl)$"
)
_STAMPED = re.compile(r"\d+\.\d+-[0-9a-f]{32}")  # the name of a source that gcloud uploads
_MADE_UP = ("etag", "jobId", "jobReference", "client.knative.dev/nonce")
_UNPUBLISHED = {("bigquery.jobs.get", "projection"), ("bigquery.jobs.insert", "projection")}


def ordered(status: int) -> Refusal:
    kinds = {403: "PERMISSION_DENIED", 429: "RESOURCE_EXHAUSTED", 500: "INTERNAL"}
    return Refusal(status, kinds[status], "It was ordered to fail")


@dataclass(frozen=True)
class Call:
    """A call that was understood.

    Attributes:
        method: its id in the discovery document.
        named: the parameters in its path.
        query: those behind it.
        body: its JSON.
        added: for a policy, the (role, member, title of the condition) that it adds or removes.
    """

    method: str
    named: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    added: tuple[tuple[str, str, str], ...] = ()

    @property
    def changes(self) -> bool:
        return not _ASKING.search(self.method)

    @property
    def what(self) -> str:
        """The same for the same change, however it is sent."""
        if self.added:
            return f"{self.method} {sorted(self.named.items())} {self.added}"
        body = _STAMPED.sub("…", json.dumps(_settled(self.body), sort_keys=True))
        return f"{self.method} {sorted(self.named.items())} {body}"


class CloudServer(StandIn):
    """A project without anything in it, listening on a free port of this machine until it is closed.

    Attributes:
        calls: those that were understood, in their order.
        refused: what the discovery documents do not know, or this stand-in cannot do.
        fails: the status that a change fails with, or 0; one that fails with 500 is made all the same.
        source: the names of the files in the function's source that was uploaded, with their content.
        contents: the content of the objects that were uploaded.
    """

    def __init__(self, project: str = "my-project", region: str = "europe-west3") -> None:
        super().__init__()
        self.project, self.region = project, region
        self.calls: list[Call] = []
        self.refused: list[str] = []
        self.fails: Callable[[Call], int] = lambda call: 0
        self.source: dict[str, bytes] = {}
        self.contents: dict[str, bytes] = {}
        self.kept: dict[str, dict[str, Any]] = {}
        self.policies: dict[str, dict[str, Any]] = {}
        self.enabled = {"serviceusage.googleapis.com"}

    @property
    def changes(self) -> list[Call]:
        return [call for call in self.calls if call.changes]

    def grants(self) -> set[tuple[str, str, str, str]]:
        """Every (member, role, resource, title of the condition) that holds."""
        return {
            (member, binding["role"], resource, binding.get("condition", {}).get("title", "-"))
            for resource, policy in self.policies.items()
            for binding in policy.get("bindings", ())
            for member in binding["members"]
        } | {
            (f"serviceAccount:{entry['userByEmail']}", entry["role"], name, "-")
            for name, made in self.kept.items()
            for entry in (made.get("access", ()) if "/datasets/" in name else ())
            if "userByEmail" in entry
        }

    def answer(self, verb: str, url: str, headers: HTTPMessage, content: bytes) -> Answer | None:
        parts = urlsplit(url)
        service = (parts.netloc or headers["Host"]).partition(".")[0].removeprefix(f"{self.region}-")
        if parts.path == _UPLOAD:
            return self._take(content)
        if parts.path.startswith("/$discovery"):
            return Answer(content=_document("bigquery.v2"), headers={"Content-Type": "application/json"})
        try:
            if cloud_services.UPLOAD.fullmatch(parts.path):
                return as_json(self._keep(parts.path, dict(parse_qsl(parts.query)), headers, content))
            call = self._understood(service, verb, parts.path, dict(parse_qsl(parts.query)), content)
            self.calls.append(call)
            status = call.changes and self.fails(call)
            answer = {} if status in (403, 429) else self._handle(call)
            if status:
                raise ordered(status)
            return as_json(answer)
        except Refusal as refusal:
            return refusal.answer()
        except Unpublished as unknown:
            self.refused.append(str(unknown))
            return Refusal(400, "INVALID_ARGUMENT", str(unknown)).answer()
        except Exception as error:  # a fault of this stand-in: the test has to fail
            self.refused.append(f"{verb} {url}: {error!r}")
            raise

    def _understood(self, service: str, verb: str, path: str, query: dict[str, str], content: bytes) -> Call:
        body = json.loads(content) if content else None
        for name in DOCUMENTS.get(service, ()):
            document = _discovery(name)
            try:
                method, named = document.find(verb, path)
            except Unpublished:
                continue
            document.check(method, query, body)
            if service not in _ALWAYS_ON and f"{service}.googleapis.com" not in self.enabled:
                raise Refusal(
                    403, "PERMISSION_DENIED", f"{service} has not been used in this project before or is disabled"
                )
            return Call(method["id"], named, query, body, self._added(method["id"], named, body))
        raise Unpublished(f"No discovery document knows {verb} {path} of {service}")

    def _added(self, method: str, named: Mapping[str, str], body: Any) -> tuple[tuple[str, str, str], ...]:
        if not method.endswith("setIamPolicy"):
            return ()
        policy = body.get("policy", body)
        return tuple(sorted(_triples(policy) ^ _triples(self.policies.get(_only(named), {}))))

    def _handle(self, call: Call) -> Any:
        if call.method.endswith("etIamPolicy"):
            return self._policy(call)
        handler = HANDLERS.get(call.method)
        if handler is None:
            raise Unpublished(f"This stand-in does not know {call.method}")
        return handler(self, call)

    def _policy(self, call: Call) -> Any:
        resource = _only(call.named).replace("projects/-/", f"projects/{self.project}/")
        if call.method.endswith(".setIamPolicy"):
            self.policies[resource] = dict(call.body.get("policy", call.body)) | {"etag": "BwXX"}
        return self.policies.get(resource, {"version": 1, "etag": "BwXX"})

    def _keep(self, path: str, query: dict[str, str], headers: HTTPMessage, content: bytes) -> Any:
        """Keep an object that comes in one request with what is said about it."""
        body, data = cloud_services.parts_of(headers.get_param("boundary").strip("'"), content)
        bucket = cloud_services.UPLOAD.fullmatch(path)[1]
        name = body.get("name") or query["name"]
        call = Call("storage.objects.insert", {"bucket": bucket}, query, {"name": name})
        self.calls.append(call)
        status = self.fails(call)
        if status not in (403, 429):
            kept = cloud_services.keep_object(self, bucket, name, data)
        if status:
            raise ordered(status)
        return kept

    def _take(self, content: bytes) -> Answer:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            self.source = {name: archive.read(name) for name in archive.namelist()}
        return Answer()

    def make(self, name: str, made: Mapping[str, Any]) -> dict[str, Any]:
        if name in self.kept:
            raise Refusal(409, "ALREADY_EXISTS", f"{name} already exists")
        self.kept[name] = dict(copy.deepcopy(made))
        return self.kept[name]

    def get(self, name: str) -> dict[str, Any]:
        if name not in self.kept:
            raise Refusal(404, "NOT_FOUND", f"Not found: {name}")
        return self.kept[name]

    def drop(self, name: str) -> dict[str, Any]:
        self.get(name)
        del self.kept[name]
        self.policies.pop(name, None)
        self.policies.pop(name.removeprefix("b/"), None)
        return {}

    def under(self, prefix: str) -> list[dict[str, Any]]:
        return [made for name, made in sorted(self.kept.items()) if re.fullmatch(re.escape(prefix) + "[^/]+", name)]


@functools.cache
def _discovery(name: str) -> Discovery:
    return Discovery(name, unpublished=_UNPUBLISHED)


def _document(name: str) -> bytes:
    text = (resources.files("googleapiclient") / "discovery_cache" / "documents" / f"{name}.json").read_text()
    return text.replace("https://bigquery.googleapis.com", "http://bigquery.googleapis.com").encode()


def _triples(policy: Mapping[str, Any]) -> set[tuple[str, str, str]]:
    return {
        (binding["role"], member, binding.get("condition", {}).get("title", "-"))
        for binding in policy.get("bindings", ())
        for member in binding["members"]
    }


def _only(named: Mapping[str, str]) -> str:
    """The resource whose policy it is; the name of a bucket is no path."""
    [name] = named.values()
    return name


def _settled(body: Any) -> Any:
    """A body without what is made up anew each time."""
    if isinstance(body, dict):
        return {name: _settled(value) for name, value in body.items() if name not in _MADE_UP}
    return [_settled(value) for value in body] if isinstance(body, list) else body


def _done(answer: Mapping[str, Any], kind: str) -> dict[str, Any]:
    return {"name": "operations/one", "done": True, "response": {"@type": f"type.googleapis.com/{kind}", **answer}}


def _working(cloud: CloudServer, answer: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """An operation that is asked about once more."""
    name = f"projects/{cloud.project}/locations/{cloud.region}/operations/one"
    metadata = {"@type": "type.googleapis.com/google.cloud.functions.v2.OperationMetadata", "stages": []}
    cloud.kept[name] = _done(answer, kind) | {"name": name, "metadata": metadata}
    return {"name": name, "done": False, "metadata": metadata}


# ---------------------------------------------------------------- what each method does


def _services(cloud: CloudServer, call: Call) -> Any:
    return {
        "services": [
            {"name": f"projects/{NUMBER}/services/{name}", "config": {"name": name}, "state": "ENABLED"}
            for name in sorted(cloud.enabled)
        ]
    }


def _service(cloud: CloudServer, call: Call) -> Any:
    name = call.named["name"].rpartition("/")[2]
    return {"name": call.named["name"], "state": "ENABLED" if name in cloud.enabled else "DISABLED"}


def _enable(cloud: CloudServer, call: Call) -> Any:
    cloud.enabled |= set((call.body or {}).get("serviceIds", ())) or {call.named["name"].rpartition("/")[2]}
    return _done({}, "google.api.serviceusage.v1.BatchEnableServicesResponse")


def _identity(cloud: CloudServer, call: Call) -> Any:
    service = call.named["parent"].rpartition("/")[2].partition(".")[0]
    email = f"service-{NUMBER}@gcp-sa-{service}.iam.gserviceaccount.com"
    return _done({"email": email, "uniqueId": "1"}, "google.api.serviceusage.v1beta1.ServiceIdentity")


def _project(cloud: CloudServer, call: Call) -> Any:
    return {"projectId": cloud.project, "projectNumber": NUMBER, "lifecycleState": "ACTIVE", "name": cloud.project}


def _make_account(cloud: CloudServer, call: Call) -> Any:
    email = f"{call.body['accountId']}@{cloud.project}.iam.gserviceaccount.com"
    name = f"projects/{cloud.project}/serviceAccounts/{email}"
    return cloud.make(name, call.body.get("serviceAccount", {}) | {"name": name, "email": email, "uniqueId": "1"})


def _enable_account(cloud: CloudServer, call: Call) -> Any:
    cloud.get(call.named["name"].replace("projects/-/", f"projects/{cloud.project}/")).pop("disabled", None)
    return {}


def _make_bucket(cloud: CloudServer, call: Call) -> Any:
    name = call.body["name"]
    return cloud.make(
        f"b/{name}", call.body | {"kind": "storage#bucket", "id": name, "location": call.body["location"].upper()}
    )


def _patch_bucket(cloud: CloudServer, call: Call) -> Any:
    bucket = cloud.get(f"b/{call.named['bucket']}")
    for name, value in call.body.items():
        bucket[name] = bucket.get(name, {}) | value if isinstance(value, dict) and name != "lifecycle" else value
    return bucket


def _make_topic(cloud: CloudServer, call: Call) -> Any:
    return cloud.make(call.named["name"], {"name": call.named["name"]})


def _make_subscription(cloud: CloudServer, call: Call) -> Any:
    cloud.get(call.body["topic"])
    return cloud.make(call.named["name"], call.body | {"name": call.named["name"]})


def _patch_subscription(cloud: CloudServer, call: Call) -> Any:
    subscription = cloud.get(call.named["name"])
    policy = call.body["subscription"]["deadLetterPolicy"]
    cloud.get(policy["deadLetterTopic"])
    subscription["deadLetterPolicy"] = policy
    return subscription


def _make_function(cloud: CloudServer, call: Call) -> Any:
    name = f"{call.named['parent']}/functions/{call.query['functionId']}"
    cloud.make(name, {"name": name})
    return _deployed(cloud, name, call.body)


def _patch_function(cloud: CloudServer, call: Call) -> Any:
    cloud.get(call.named["name"])
    return _deployed(cloud, call.named["name"], call.body)


def _deployed(cloud: CloudServer, name: str, body: Mapping[str, Any]) -> Any:
    """The platform makes a trigger, its subscription and a service for a function."""
    short = name.rpartition("/")[2]
    trigger = f"projects/{cloud.project}/locations/{body['eventTrigger']['triggerRegion']}/triggers/{short}-123456"
    subscription = f"projects/{cloud.project}/subscriptions/eventarc-{cloud.region}-{short}-123456-sub-567"
    made = copy.deepcopy(dict(body)) | {"name": name, "state": "ACTIVE", "environment": "GEN_2"}
    made["eventTrigger"]["trigger"] = trigger
    made["serviceConfig"] |= {"service": f"projects/{cloud.project}/locations/{cloud.region}/services/{short}"}
    made["buildConfig"].setdefault("dockerRegistry", "ARTIFACT_REGISTRY")
    cloud.kept[name] = cloud.kept[name] | made
    cloud.kept[trigger] = {"name": trigger, "transport": {"pubsub": {"subscription": subscription}}}
    cloud.kept.setdefault(subscription, {"name": subscription, "topic": "_"})
    template = {"metadata": {"annotations": {}}, "spec": {"containers": [{"image": "image"}]}}
    service = f"namespaces/{cloud.project}/services/{short}"
    cloud.kept[service] = {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Service",
        "metadata": {"name": short, "namespace": NUMBER, "labels": {"cloud.googleapis.com/location": cloud.region}},
        "spec": {"template": template},
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    }
    return _working(cloud, cloud.kept[name], "google.cloud.functions.v2.Function")


def _drop_function(cloud: CloudServer, call: Call) -> Any:
    made = cloud.get(call.named["name"])
    trigger = made["eventTrigger"]["trigger"]
    short = call.named["name"].rpartition("/")[2]
    subscription = cloud.get(trigger)["transport"]["pubsub"]["subscription"]
    for name in (call.named["name"], trigger, subscription, f"namespaces/{cloud.project}/services/{short}"):
        cloud.drop(name)
    cloud.policies.pop(f"projects/{cloud.project}/locations/{cloud.region}/services/{short}", None)
    return _working(cloud, {}, "google.protobuf.Empty")


def _replace_service(cloud: CloudServer, call: Call) -> Any:
    service = cloud.get(call.named["name"])
    service["spec"] = call.body["spec"]
    service["metadata"]["labels"] = call.body["metadata"].get("labels", {})
    return service


def _make_alert(cloud: CloudServer, call: Call) -> Any:
    name = f"{call.named['name']}/alertPolicies/{len(cloud.under(call.named['name'] + '/alertPolicies/')) + 1}"
    return cloud.make(name, call.body | {"name": name})


def _replace_alert(cloud: CloudServer, call: Call) -> Any:
    cloud.get(call.named["name"])
    cloud.kept[call.named["name"]] = dict(call.body) | {"name": call.named["name"]}
    return cloud.kept[call.named["name"]]


def _make_dataset(cloud: CloudServer, call: Call) -> Any:
    reference = call.body["datasetReference"]
    return cloud.make(f"/datasets/{reference['datasetId']}", call.body)


def _query(cloud: CloudServer, call: Call) -> Any:
    """GRANT and REVOKE; Google stores the roles of a dataset under their older names."""
    text = call.body["configuration"]["query"]["query"]
    said = re.fullmatch(
        r'(GRANT|REVOKE) `(roles/bigquery\.data\w+)` ON SCHEMA `[\w-]+`\.(\w+) (?:TO|FROM) "serviceAccount:(.+)"', text
    )
    if said is None:
        raise Unpublished(f"This stand-in does not know {text}")
    how, role, dataset, email = said.groups()
    made = cloud.get(f"/datasets/{dataset}")
    entries = [entry for entry in made.setdefault("access", []) if entry.get("userByEmail") != email]
    made["access"] = entries + ([{"role": _DATASET_ROLES[role], "userByEmail": email}] if how == "GRANT" else [])
    return _job(cloud, call)


def _job(cloud: CloudServer, call: Call) -> Any:
    reference = {"projectId": cloud.project, "jobId": "job", "location": cloud.region}
    return {
        "kind": "bigquery#job",
        "id": "job",
        "jobReference": reference,
        "configuration": {"jobType": "QUERY", "query": {"query": ""}},
        "status": {"state": "DONE"},
        "statistics": {"query": {"statementType": "GRANT"}},
    }


def _results(cloud: CloudServer, call: Call) -> Any:
    return {
        "jobComplete": True,
        "jobReference": _job(cloud, call)["jobReference"],
        "schema": {"fields": []},
        "totalRows": "0",
    }


def _listed(key: str, prefix: str) -> Callable[[CloudServer, Call], Any]:
    return lambda cloud, call: {key: cloud.under(prefix.format(p=cloud.project, r=cloud.region))}


def _got(form: str) -> Callable[[CloudServer, Call], Any]:
    return lambda cloud, call: cloud.get(form.format(**call.named))


def _dropped(form: str) -> Callable[[CloudServer, Call], Any]:
    return lambda cloud, call: cloud.drop(form.format(**call.named))


def _functions(cloud: CloudServer, call: Call) -> Any:
    return {"functions": cloud.under(f"projects/{cloud.project}/locations/{cloud.region}/functions/")}


def _triggers(cloud: CloudServer, call: Call) -> Any:
    return {"triggers": [made for name, made in cloud.kept.items() if "/triggers/" in name]}


def _runs(cloud: CloudServer, call: Call) -> Any:
    items = cloud.under(f"namespaces/{cloud.project}/services/")
    return {"apiVersion": "serving.knative.dev/v1", "kind": "ServiceList", "items": items}


HANDLERS: dict[str, Callable[[CloudServer, Call], Any]] = cloud_services.HANDLERS | {
    "serviceusage.services.list": _services,
    "serviceusage.services.get": _service,
    "serviceusage.services.batchEnable": _enable,
    "serviceusage.services.enable": _enable,
    "serviceusage.services.generateServiceIdentity": _identity,
    "cloudresourcemanager.projects.get": _project,
    "iam.projects.serviceAccounts.list": _listed("accounts", "projects/{p}/serviceAccounts/"),
    "iam.projects.serviceAccounts.create": _make_account,
    "iam.projects.serviceAccounts.enable": _enable_account,
    "iam.projects.serviceAccounts.delete": lambda cloud, call: cloud.drop(
        call.named["name"].replace("projects/-/", f"projects/{cloud.project}/")
    ),
    "storage.buckets.list": _listed("items", "b/"),
    "storage.buckets.get": _got("b/{bucket}"),
    "storage.buckets.getStorageLayout": lambda cloud, call: {
        "bucket": call.named["bucket"],
        "hierarchicalNamespace": {"enabled": False},
    },
    "storage.buckets.insert": _make_bucket,
    "storage.buckets.patch": _patch_bucket,
    "storage.buckets.delete": _dropped("b/{bucket}"),
    "storage.managedFolders.list": lambda cloud, call: {"kind": "storage#managedFolders"},
    "storage.projects.serviceAccount.get": lambda cloud, call: {
        "email_address": f"service-{NUMBER}@gs-project-accounts.iam.gserviceaccount.com"
    },
    "pubsub.projects.topics.list": _listed("topics", "projects/{p}/topics/"),
    "pubsub.projects.topics.create": _make_topic,
    "pubsub.projects.topics.delete": _dropped("{topic}"),
    "pubsub.projects.subscriptions.list": _listed("subscriptions", "projects/{p}/subscriptions/"),
    "pubsub.projects.subscriptions.create": _make_subscription,
    "pubsub.projects.subscriptions.get": _got("{subscription}"),
    "pubsub.projects.subscriptions.patch": _patch_subscription,
    "pubsub.projects.subscriptions.delete": _dropped("{subscription}"),
    "cloudfunctions.projects.locations.functions.list": _functions,
    "cloudfunctions.projects.locations.functions.get": _got("{name}"),
    "cloudfunctions.projects.locations.functions.create": _make_function,
    "cloudfunctions.projects.locations.functions.patch": _patch_function,
    "cloudfunctions.projects.locations.functions.delete": _drop_function,
    "cloudfunctions.projects.locations.functions.generateUploadUrl": lambda cloud, call: {
        "uploadUrl": f"http://storage.googleapis.com{_UPLOAD}",
        "storageSource": {"bucket": "gcf-v2-uploads", "object": "source.zip"},
    },
    "cloudfunctions.projects.locations.operations.get": _got("{name}"),
    "cloudfunctions.projects.locations.runtimes.list": lambda cloud, call: {
        "runtimes": [{"name": "python311", "environment": "GEN_2", "stage": "GA", "displayName": "Python 3.11"}]
    },
    "eventarc.projects.locations.triggers.list": _triggers,
    "eventarc.projects.locations.triggers.get": _got("{name}"),
    "run.namespaces.services.list": _runs,
    "run.namespaces.revisions.list": lambda cloud, call: {"items": []},
    "run.namespaces.services.get": _got("{name}"),
    "run.namespaces.services.replaceService": _replace_service,
    "monitoring.projects.alertPolicies.list": _listed("alertPolicies", "projects/{p}/alertPolicies/"),
    "monitoring.projects.alertPolicies.create": _make_alert,
    "monitoring.projects.alertPolicies.patch": _replace_alert,
    "monitoring.projects.alertPolicies.get": _got("{name}"),
    "monitoring.projects.alertPolicies.delete": _dropped("{name}"),
    "bigquery.datasets.insert": _make_dataset,
    "bigquery.datasets.get": _got("/datasets/{datasetId}"),
    "bigquery.datasets.list": lambda cloud, call: {"datasets": []},
    "bigquery.datasets.delete": _dropped("/datasets/{datasetId}"),
    "bigquery.jobs.insert": _query,
    "bigquery.jobs.get": _job,
    "bigquery.jobs.getQueryResults": _results,
}
