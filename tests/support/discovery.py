"""Google's descriptions of its services: discovery documents, which come with google-api-python-client."""

import json
import re
from collections.abc import Collection, Iterator, Mapping
from importlib import resources
from typing import Any
from urllib.parse import unquote


class Unpublished(Exception):
    """A request that the document does not know."""


class Discovery:
    """A discovery document.

    Args:
        name: the service and its version, for example `bigquery.v2`.
        unpublished: parameters that are let through all the same, with the ids of their methods.
    """

    def __init__(self, name: str, *, unpublished: Collection[tuple[str, str]] = ()) -> None:
        folder = resources.files("googleapiclient") / "discovery_cache" / "documents"
        document = json.loads((folder / f"{name}.json").read_text())
        self._unpublished = unpublished
        self._base = document["basePath"] or "/"
        self._schemas = document["schemas"]
        self._common = document["parameters"]
        self._methods = [(method, _pattern(method)) for method in _methods(document)]

    def find(self, verb: str, path: str) -> tuple[dict[str, Any], dict[str, str]]:
        """The method that a path stands for, and the parameters in the path.

        Raises:
            Unpublished: there is none.
        """
        upload = path.startswith("/upload")
        for method, pattern in self._methods:
            match = pattern.fullmatch(path.removeprefix("/upload").removeprefix(self._base))
            if match and method["httpMethod"] == verb and (not upload or "mediaUpload" in method):
                return method, {name: unquote(value) for name, value in match.groupdict().items()}
        raise Unpublished(f"The discovery document knows no method {verb} {path}")

    def check(self, method: Mapping[str, Any], query: Mapping[str, str], body: Any) -> None:
        """Looks at each parameter and, however deep, at each field of the body.

        Raises:
            Unpublished: one is unknown or of another type.
        """
        for name, value in query.items():
            known = self._common | {key: own for key, own in method["parameters"].items() if own["location"] == "query"}
            if (method["id"], name) in self._unpublished:
                continue
            if name not in known:
                raise Unpublished(f"{method['id']} knows no parameter {name}")
            self._check(value, known[name], name)
        if body and "request" not in method:
            raise Unpublished(f"{method['id']} takes no body")
        if body:
            self._check(body, method["request"], method["request"]["$ref"])

    def _check(self, value: Any, schema: Mapping[str, Any], where: str) -> None:
        if value is None:
            return  # JSON's way to say nothing
        schema = self._schemas[schema["$ref"]] if "$ref" in schema else schema
        match schema.get("type"):
            case "object" if isinstance(value, dict):
                for name, inner in value.items():
                    known = schema.get("properties", {}).get(name) or schema.get("additionalProperties")
                    if known is None:
                        raise Unpublished(f"{where} knows no field {name}")
                    self._check(inner, known, f"{where}.{name}")
            case "array" if isinstance(value, list):
                for inner in value:
                    self._check(inner, schema["items"], f"{where}[]")
            case kind if kind != "any" and not _is_scalar(value, schema):
                raise Unpublished(f"{where} is {value!r}: {kind} was needed")


def _methods(resource: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    yield from resource.get("methods", {}).values()
    for inner in resource.get("resources", {}).values():
        yield from _methods(inner)


def _pattern(method: Mapping[str, Any]) -> re.Pattern[str]:
    """A path parameter is one segment, unless its own pattern says that it is several."""

    def segment(placeholder: re.Match[str]) -> str:
        own = method["parameters"][placeholder[1]].get("pattern", "^[^/]+$")
        return f"(?P<{placeholder[1]}>{own.strip('^$').replace('[^/]', '[^/:]')})"

    return re.compile(re.sub(r"\{\+?(\w+)\}", segment, method["path"]))


def _is_scalar(value: Any, schema: Mapping[str, Any]) -> bool:
    text = str(value)
    match schema.get("type"):
        case "string":
            # Google's client sends the numbers among a query's parameters as numbers.
            number = isinstance(value, int | float) and not isinstance(value, bool)
            return (isinstance(value, str) or number) and text in schema.get("enum", [text])
        case "boolean":
            return text.lower() in ("true", "false")
        case "integer":
            return re.fullmatch(r"-?\d+", text) is not None
        case "number":
            return re.fullmatch(r"-?\d+(\.\d+)?(e-?\d+)?", text) is not None
    return False
