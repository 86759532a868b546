"""setup.sh with the real `gcloud` and `bq`, against stand-ins: for its tests, and for docs/deployment.md."""

import os
import shutil
import ssl
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from tests.support.bigquery_server import BigQueryServer
from tests.support.cloud_server import DOCUMENTS, CloudServer
from tests.support.storage_server import StorageServer
from tests.support.warm_python import WarmPython

PROJECT = Path(__file__).parents[2]
WHERE = ("--project", "my-project", "--region", "europe-west3")
HAS_GCLOUD = bool(shutil.which("gcloud") and shutil.which("bq"))
_PROPERTIES = {"sqladmin": "sql"}
"""gcloud's own names of services."""
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV")


def keep_from_the_network(folder: Path) -> None:
    """Note in gcloud's folder that this machine is none of Google's: gcloud then looks for no server of theirs."""
    (folder / "gce").write_text("False")
    os.utime(folder / "gce", (1 << 32, 1 << 32))


def certified(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """A certificate for Google's names that only this folder's clients trust, and its file.

    Some of gcloud's services have no setting for another address, so they are reached by their own.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "stand-in")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("*.googleapis.com")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "certificate").write_bytes(certificate.public_bytes(Encoding.PEM))
    (folder / "key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "certificate", folder / "key")
    return context, folder / "certificate"


class Deployment:
    """An empty project, and what setup.sh needs to talk to it and to nothing else.

    Attributes:
        cloud: the project, as gcloud and bq see it.
        warehouse: BigQuery, as our own client sees it.
        store: Cloud Storage, likewise.
    """

    def __init__(self, folder: Path) -> None:
        self.cloud, self.warehouse, self.store = CloudServer(), BigQueryServer(), StorageServer()
        self._folder, self._python = folder, None
        for use in ("data", "models"):
            self.store.make_bucket(f"my-project-tickercast-{use}")
        (folder / "token").write_text("token")
        keep_from_the_network(folder)
        self.cloud.tls, certificate = certified(folder)
        (folder / "bigqueryrc").write_text("api = http://bigquery.googleapis.com\n")
        self._environment = {name: os.environ[name] for name in _KEPT if name in os.environ} | {
            "BIGQUERYRC": str(folder / "bigqueryrc"),
            "BIGQUERY_EMULATOR_HOST": self.warehouse.url,
            "STORAGE_EMULATOR_HOST": self.store.url,
            "SETUP_PAUSE_S": "0",
            "CLOUDSDK_CONFIG": str(folder),
            "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE": str(folder / "token"),
            "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE": str(certificate),
            "CLOUDSDK_PROXY_TYPE": "http",
            "CLOUDSDK_PROXY_ADDRESS": "127.0.0.1",
            "CLOUDSDK_PROXY_PORT": self.cloud.url.rpartition(":")[2],
            "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "1",
            "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK": "1",
            # By name and without TLS: a region is put before a name, and an address cannot bear it.
            **{
                f"CLOUDSDK_API_ENDPOINT_OVERRIDES_{_PROPERTIES.get(name, name).upper()}": f"http://{name}.googleapis.com/"
                for name in DOCUMENTS
            },
        }

    @property
    def refused(self) -> list[str]:
        return self.cloud.refused + self.warehouse.refused + self.store.refused

    def run(self, *words: str, said: str = "") -> subprocess.CompletedProcess[str]:
        if self._python is None:
            self._python = WarmPython(self._folder / "python", self._environment)
        return subprocess.run(
            [str(PROJECT / "setup.sh"), *words],
            cwd=PROJECT,
            env=self._environment | {"CLOUDSDK_PYTHON": str(self._python.path)},
            input=said,
            capture_output=True,
            text=True,
            timeout=900,
        )

    def close(self) -> None:
        for server in (self.cloud, self.warehouse, self.store):
            server.close()
        if self._python:
            self._python.close()
