"""Register the day with a Prefect API: a deployment on a work pool that runs the worker image on Cloud Run.

The pool is of type `cloud-run-v2:push` where the API offers it, as Prefect Cloud does, so that no worker has to wait;
on a server of one's own it is `cloud-run-v2`, which a worker of prefect-gcp serves. The settings are those of the job
that Cloud Scheduler would start, from standard input, one option a line. `PREFECT_API_KEY` is sent where it is set, or
`PREFECT_API_AUTH_STRING`, the USER:PASSWORD of a server of one's own.

    python deploy/prefect_pool.py register --url URL --image IMAGE --time-zone ZONE --label LABEL < settings
    python deploy/prefect_pool.py label --url URL
"""

import argparse
import os
import sys
import uuid
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

import requests

POOL, FLOW, DEPLOYMENT = "tickercast", "daily", "evening"
TYPES = ("cloud-run-v2:push", "cloud-run-v2")
CRON = "30 18 * * 1-5"
_TIMEOUT_S = 60


class Api:
    """A Prefect API.

    Args:
        url: the address of the API, with `/api`.
    """

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        key, login = os.environ.get("PREFECT_API_KEY"), os.environ.get("PREFECT_API_AUTH_STRING")
        self._session = requests.Session()
        if key:
            self._session.headers["Authorization"] = f"Bearer {key}"
        elif login:
            user, _, password = login.partition(":")
            self._session.auth = (user, password)

    def get(self, path: str) -> Any:
        """The answer to a question; None if there is no such thing."""
        return self._ask("GET", path)

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Create something, or replace it where the API does so."""
        self._ask_for_token()
        return self._ask("POST", path, body)

    def _ask_for_token(self) -> None:
        """Get the token that a server with CSRF protection wants beside a write; others have none."""
        client = str(uuid.uuid4())
        with suppress(requests.RequestException, ValueError, KeyError):  # what is wrong is said of the write
            answer = self._session.get(f"{self._url}/csrf-token", params={"client": client}, timeout=_TIMEOUT_S)
            if answer.ok:
                token = answer.json()["token"]
                self._session.headers.update({"Prefect-Csrf-Client": client, "Prefect-Csrf-Token": token})

    def _ask(self, verb: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        try:
            answer = self._session.request(verb, f"{self._url}{path}", json=body, timeout=_TIMEOUT_S)
        except requests.RequestException as error:
            raise SystemExit(
                f"{self._url} does not answer ({type(error).__name__}). Check --prefect and the network."
            ) from error
        if answer.status_code == 404 and verb == "GET":
            return None
        if not answer.ok:
            raise SystemExit(
                f"{self._url} answers {verb} {path} with {answer.status_code}: a Prefect 3 API and a key that may make "
                "pools were needed. Check --prefect, and PREFECT_API_KEY or PREFECT_API_AUTH_STRING."
            )
        return answer.json()


def variables(settings: Iterable[str], image: str) -> dict[str, Any]:
    """The settings of Cloud Run's job as variables of the pool's template.

    >>> variables(["--args=daily,--wait=20", "--cpu=2", "--set-env-vars=A=b=c", "--task-timeout=6h"], "image@sha256:1")
    {'image': 'image@sha256:1', 'timeout': 21600, 'cpu': '2000m', 'env': {'A': 'b=c'}}
    """
    made: dict[str, Any] = {"image": image, "timeout": 6 * 3600}
    for line in settings:
        name, _, value = line.strip().removeprefix("--").partition("=")
        if name == "cpu":
            made["cpu"] = f"{int(value) * 1000}m"
        elif name in ("memory", "region"):
            made[name] = value
        elif name == "service-account":
            made["service_account_name"] = value
        elif name == "set-env-vars":
            key, _, text = value.partition("=")
            made.setdefault("env", {})[key] = text
        elif name == "set-secrets":
            key, _, secret = value.partition("=")
            named, _, version = secret.partition(":")
            made.setdefault("env_from_secrets", {})[key] = {"secret": named, "version": version}
    return made


def label(api: Api) -> str:
    """The label of the deployment that is there; empty if there is none."""
    found = api.get(f"/deployments/name/{FLOW}/{DEPLOYMENT}")
    return str(found["version"] or "") if found else ""


def register(api: Api, settings: Iterable[str], *, image: str, time_zone: str, label: str) -> None:
    """Create the pool if it is missing, and create the deployment or replace it.

    Raises:
        SystemExit: the API knows no pool for Cloud Run, or its pool lacks a variable that is needed.
    """
    pool = api.get(f"/work_pools/{POOL}") or _make_pool(api)
    wanted = variables(settings, image)
    known = pool["base_job_template"].get("variables", {}).get("properties", {})
    if missing := sorted(wanted.keys() - known.keys()):
        raise SystemExit(
            f"The work pool {POOL} of type {pool['type']} has no {', '.join(missing)}: one for Cloud Run v2 that has "
            "them was needed. Delete it, or update Prefect."
        )
    flow = api.post("/flows/", {"name": FLOW})
    api.post(
        "/deployments/",
        {
            "name": DEPLOYMENT,
            "flow_id": flow["id"],
            "version": label,
            "entrypoint": "flows/daily.py:daily",
            "path": "/home/tickercast",
            "work_pool_name": POOL,
            "job_variables": wanted,
            "concurrency_limit": 1,
            "schedules": [{"schedule": {"cron": CRON, "timezone": time_zone}, "active": True}],
        },
    )


def _make_pool(api: Api) -> Any:
    offered = {
        kind: one["default_base_job_configuration"]
        for collection in api.get("/collections/views/aggregate-worker-metadata").values()
        for kind, one in collection.items()
    }
    kind = next((kind for kind in TYPES if kind in offered), None)
    if kind is None:
        raise SystemExit(f"The API offers no work pool of type {' or '.join(TYPES)}. Update Prefect.")
    return api.post("/work_pools/", {"name": POOL, "type": kind, "base_job_template": offered[kind]})


def main() -> None:
    """Register the deployment, or print the label of the one that is there."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("what", choices=["register", "label"])
    for name in ("--url", "--image", "--time-zone", "--label"):
        arguments.add_argument(name, default="")
    given = arguments.parse_args()
    api = Api(given.url)
    if given.what == "label":
        print(label(api))
    else:
        register(api, sys.stdin, image=given.image, time_zone=given.time_zone, label=given.label)


if __name__ == "__main__":
    main()
