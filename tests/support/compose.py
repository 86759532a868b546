"""compose.yaml without Docker: each service's command runs as its image and its environment say, on this machine."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

PROJECT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent


class Compose:
    """The services, with folders in place of volumes and ports of this machine in place of names.

    Args:
        folder: holds what the containers would see: `/data`, `/config`, `/opt` and the home of their user.
        given: the variables that compose.yaml asks for.
        ports: by service.
    """

    def __init__(self, folder: Path, given: Mapping[str, str], ports: Mapping[str, int]) -> None:
        self.services: dict[str, Any] = yaml.safe_load((PROJECT / "compose.yaml").read_text())["services"]
        self._folder, self._given, self._ports = folder, given, ports
        self._images = images()
        for name in ("data", "home/tickercast", "opt", "config", "tmp"):
            (folder / name).mkdir(parents=True)
        home = folder / "home/tickercast"
        shutil.copytree(PROJECT / "flows", home / "flows", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(PROJECT / "prefect.yaml", home)
        shutil.copy(PROJECT / "cloud_function/main.py", home)
        for name in ("healthy.py", "mlflow-server.sh"):
            shutil.copy(PROJECT / "deploy" / name, folder / "opt")
        for mount in self.services["worker"]["volumes"]:
            source, _, inside = self._filled(mount).removesuffix(":ro").rpartition(":")
            if inside.startswith("/config/"):
                shutil.copy(PROJECT / source, folder / inside.lstrip("/"))

    def start(self, name: str) -> "subprocess.Popen[bytes]":
        """Start a service; its output is in a file of its name."""
        with (self._folder / f"{name}.log").open("wb") as log:
            return subprocess.Popen(
                self.command(name),
                cwd=self._folder / "home/tickercast",
                env=self.environment(name),
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def command(self, name: str) -> list[str]:
        words = self.services[name].get("command") or self._images[self.services[name]["build"]["target"]]["CMD"]
        return [self._here(word) for word in words]

    def environment(self, name: str) -> dict[str, str]:
        image = self._images["base"]["ENV"] | self._images[self.services[name]["build"]["target"]]["ENV"]
        told = {key: self._filled(str(value)) for key, value in self.services[name]["environment"].items()}
        made = {key: self._here(value) for key, value in (image | told).items()}
        libraries = os.pathsep.join([str(PROJECT / "src"), str(PROJECT)])
        return {key: value for key, value in made.items() if value} | {
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": libraries,
            "TMPDIR": str(self._folder / "tmp"),
        }

    def log(self, name: str) -> str:
        return (self._folder / f"{name}.log").read_text(errors="replace")

    def _filled(self, text: str) -> str:
        return re.sub(r"\$\{(\w+)(?::([-?])([^}]*))?\}", lambda found: self._value(*found.groups()), text)

    def _value(self, name: str, how: str | None, otherwise: str | None) -> str:
        if name not in self._given and how == "?":
            raise KeyError(f"{name}: {otherwise}")
        return self._given.get(name, otherwise or "")

    def _here(self, text: str) -> str:
        for name, port in self._ports.items():
            text = re.sub(rf"(?<=[/@]){name}:\d+", f"127.0.0.1:{port}", text)
        return re.sub(r"(?<![\w.])/(data|home/tickercast|opt|config)(?=/|$)", rf"{self._folder}/\1", text)


def images() -> dict[str, dict[str, Any]]:
    """The ENV and CMD of each stage of the Dockerfile."""
    found: dict[str, dict[str, Any]] = {}
    text = (PROJECT / "Dockerfile").read_text()
    for target, stage in re.findall(r"^FROM \S+ AS (\S+)\n(.*?)(?=^FROM|\Z)", text, re.MULTILINE | re.DOTALL):
        environment = dict(re.findall(r"(\w+)=(\S+)", " ".join(re.findall(r"^ENV (.+)$", stage, re.MULTILINE))))
        command = re.findall(r"^CMD (\[.+\])$", stage, re.MULTILINE)
        found[target] = {"ENV": environment, "CMD": yaml.safe_load(command[-1]) if command else []}
    return found
