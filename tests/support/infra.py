"""The resources of infra/, by Pulumi's mocks: run by a Python that has Pulumi, and printed as JSON.

python tests/support/infra.py
"""

import json
import runpy
import sys
from pathlib import Path
from typing import Any

try:
    import pulumi
except ImportError as missing:  # a collector of doctests looks in here, too
    import pytest

    pytest.skip(str(missing), allow_module_level=True)

PROJECT = Path(__file__).parents[2]
NUMBER = "123456789012"
SUBSCRIPTION = "eventarc-europe-west3-tickercast-forecast-123456-sub-567"
made: list[dict[str, Any]] = []
after: dict[tuple[str, str], list[str]] = {}


class Monitor(pulumi.runtime.mocks.MockMonitor):
    """Keeps which resources have to be there before each."""

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 as the protocol has it
        after[request.type, request.name] = [urn.rpartition("::")[2] for urn in request.dependencies]
        return super().RegisterResource(request)


class Mocks(pulumi.runtime.Mocks):
    """Takes every resource as made, and keeps what was asked for."""

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        known = dict(args.inputs)
        if args.typ == "gcp:eventarc/trigger:Trigger":  # it is read, not made
            return args.resource_id, {
                "transport": {"pubsub": {"subscription": f"projects/my-project/subscriptions/{SUBSCRIPTION}"}}
            }
        made.append({"type": args.typ, "name": args.name, "inputs": args.inputs})
        if args.typ == "gcp:projects/serviceIdentity:ServiceIdentity":
            service = args.inputs["service"].partition(".")[0]
            known["email"] = f"service-{NUMBER}@gcp-sa-{service}.iam.gserviceaccount.com"
        if args.typ == "gcp:serviceaccount/account:Account":
            known["email"] = f"{args.inputs['accountId']}@my-project.iam.gserviceaccount.com"
            known["name"] = f"projects/my-project/serviceAccounts/{known['email']}"
        if args.typ == "gcp:cloudfunctionsv2/function:Function":
            trigger = "projects/my-project/locations/europe-west3/triggers/tickercast-forecast-123456"
            known["eventTrigger"] = dict(args.inputs["eventTrigger"]) | {"trigger": trigger}
        return f"{args.name}-id", known

    def call(self, args: pulumi.runtime.MockCallArgs) -> dict[str, Any]:
        if args.token.endswith(":getProjectServiceAccount"):
            return {"emailAddress": f"service-{NUMBER}@gs-project-accounts.iam.gserviceaccount.com"}
        return {"number": NUMBER, "projectId": "my-project"} if args.token.endswith(":getProject") else {}


def main() -> None:
    settings = {"project": "my-project", "region": "europe-west3", "image": "here/worker@sha256:12"}
    pulumi.runtime.set_all_config({f"tickercast:{name}": value for name, value in settings.items()})
    mocks = Mocks()
    pulumi.runtime.set_mocks(mocks, project="tickercast", stack="test", monitor=Monitor(mocks))

    @pulumi.runtime.test
    def run() -> None:
        runpy.run_path(str(PROJECT / "infra" / "__main__.py"))

    run()
    for one in made:
        one["after"] = after[one["type"], one["name"]]
    json.dump(made, sys.stdout, default=str)


if __name__ == "__main__":
    main()
