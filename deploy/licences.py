"""List the licences of what is shipped, and fail if one of them is the GPL or the AGPL, or is not stated.

python deploy/licences.py
"""

import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = Path(__file__).parents[1]
SHIPPED = ("train", "flow", "dashboard", "peers", "api", "boost", "aws", "trade", "tearsheet")
"""Every extra: bundles and images have them, or `pip install` does."""

_REFUSED = re.compile(
    r"(?<![A-Z])A?GPL|AFFERO|(?<!LESSER )(?<!LIBRARY OR LESSER )GENERAL PUBLIC LICENSE", re.IGNORECASE
)
_REPORTED = re.compile(r"LGPL|LESSER GENERAL|ARTISTIC|MPL|MOZILLA", re.IGNORECASE)
_LONGEST = 80  # letters: longer is the text of a licence, whose name is a classifier
_KNOWN = {
    "huey": "MIT",
    "namex": "Apache-2.0",
    "peewee": "MIT",
    "skops": "MIT",
}
"""Licences that a package's metadata do not state, read from its files."""


def shipped() -> list[str]:
    """The packages that the bundles hold, dependencies included, as they are installed here."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    pending = [*project["dependencies"], *(one for extra in SHIPPED for one in project["optional-dependencies"][extra])]
    found: set[str] = set()
    while pending:
        wanted = Requirement(pending.pop())
        name = canonicalize_name(wanted.name)
        extras = ["", *wanted.extras]
        if name in found or not (wanted.marker is None or wanted.marker.evaluate({"extra": ""})):
            continue
        try:
            requires = distribution(name).requires or []
        except PackageNotFoundError:  # for another platform
            continue
        found.add(name)
        for text in requires:
            marker = Requirement(text).marker
            if marker is None or any(marker.evaluate({"extra": extra}) for extra in extras):
                pending.append(str(Requirement(text.partition(";")[0])))
    return sorted(found)


def licence(name: str) -> str:
    """The licence that a package's metadata state; empty if they state none."""
    stated = distribution(name).metadata
    fields = stated.json
    expression = str(fields.get("license_expression", ""))
    classifiers = [one.split(" :: ")[-1] for one in stated.get_all("Classifier", []) if one.startswith("License ::")]
    text = str(fields.get("license", ""))
    short = (
        text.strip() if len(text) <= _LONGEST and "UNKNOWN" not in text else text.strip().partition("\n")[0][:_LONGEST]
    )
    return expression or "; ".join(one for one in classifiers if one != "OSI Approved") or short or _KNOWN.get(name, "")


def refused(licences: Mapping[str, str]) -> Iterator[str]:
    """A sentence for each package that may not be shipped.

    >>> list(refused({"a": "MIT", "b": "GPL-3.0-only", "c": "LGPL-2.1", "d": "", "e": "GPL-2.0 OR MIT"}))
    ['b has the licence GPL-3.0-only, and is not to be shipped.', 'd states no licence.']
    """
    for name, stated in licences.items():
        choices = [choice for choice in re.split(r"\s+OR\s+|; ", stated) if choice]
        if not choices:
            yield f"{name} states no licence."
        elif all(_REFUSED.search(choice) for choice in choices):
            yield f"{name} has the licence {stated}, and is not to be shipped."


def main() -> None:
    """Print every package with its licence, those with conditions first, and the refusals."""
    found = {name: licence(name) for name in shipped()}
    for name in sorted(found, key=lambda name: (_REPORTED.search(found[name]) is None, name)):
        print(f"{name}: {found[name]}")
    sys.exit("\n".join(refused(found)) or 0)


if __name__ == "__main__":
    main()
