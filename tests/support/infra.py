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
made: list[dict[str, Any]] = []


class Mocks(pulumi.runtime.Mocks):
    """Takes every resource as made, and keeps what was asked for."""

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        made.append({"type": args.typ, "name": args.name, "inputs": args.inputs})
        known = dict(args.inputs)
        if args.typ == "gcp:serviceaccount/account:Account":
            known["email"] = f"{args.inputs['accountId']}@my-project.iam.gserviceaccount.com"
            known["name"] = f"projects/my-project/serviceAccounts/{known['email']}"
        if args.typ == "gcp:cloudfunctionsv2/function:Function":
            trigger = "projects/my-project/locations/europe-west3/triggers/tickercast-forecast-123456"
            known["eventTrigger"] = dict(args.inputs["eventTrigger"]) | {"trigger": trigger}
        return f"{args.name}-id", known

    def call(self, args: pulumi.runtime.MockCallArgs) -> dict[str, Any]:
        return {"number": NUMBER, "projectId": "my-project"} if "getProject" in args.token else {}


def main() -> None:
    settings = {"project": "my-project", "region": "europe-west3", "image": "here/worker@sha256:12"}
    pulumi.runtime.set_all_config({f"tickercast:{name}": value for name, value in settings.items()})
    pulumi.runtime.set_mocks(Mocks(), project="tickercast", stack="test")

    @pulumi.runtime.test
    def run() -> None:
        runpy.run_path(str(PROJECT / "infra" / "__main__.py"))

    run()
    json.dump(made, sys.stdout, default=str)


if __name__ == "__main__":
    main()
