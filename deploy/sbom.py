"""Write the bill of materials of a bundle: its packages with versions and hashes, in CycloneDX's JSON.

python deploy/sbom.py worker > sbom-worker.json
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

DIST = Path(__file__).parents[1] / "dist"
_PACKAGE = re.compile(r"^([a-z0-9][a-z0-9._-]*)==([^\s;\\]+)((?:.*\\\n)?(?: +--hash=.*\n?)*)", re.MULTILINE)
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_OWN = re.compile(r"^\./(tickercast)-([^-]+)-\S+\.whl --hash=sha256:([0-9a-f]{64})$", re.MULTILINE)


def components(requirements: str) -> list[dict[str, Any]]:
    r"""The packages of a requirements file.

    >>> [made] = components("a==1.0 \\\n    --hash=sha256:" + 64 * "0" + "\n")
    >>> made["purl"], len(made["hashes"])
    ('pkg:pypi/a@1.0', 1)
    """
    found = [(name, version, _HASH.findall(hashes)) for name, version, hashes in _PACKAGE.findall(requirements)]
    found += [(name, version, [digest]) for name, version, digest in _OWN.findall(requirements)]
    return [
        {
            "type": "library",
            "name": name,
            "version": version,
            "purl": f"pkg:pypi/{name}@{version}",
            "hashes": [{"alg": "SHA-256", "content": digest} for digest in hashes],
        }
        for name, version, hashes in found
    ]


def sbom(name: str) -> dict[str, Any]:
    """The whole bill of a bundle.

    Raises:
        SystemExit: the bundle has not been built.
    """
    file = DIST / name / "requirements.txt"
    if not file.is_file():
        raise SystemExit(f"dist/{name} is not there. Run make bundles.")
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": {"type": "application", "name": f"tickercast-{name}"}},
        "components": components(file.read_text()),
    }


if __name__ == "__main__":
    print(json.dumps(sbom(sys.argv[1] if len(sys.argv) > 1 else ""), indent=2))
