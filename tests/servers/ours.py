"""Our own product as a user runs it: the `satudata` command in processes of its own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from tests.servers import PATIENCE, end, free_port, listens, until

HOUSE = Path(__file__).resolve().parents[2]


@dataclass
class Deployment:
    """A config and a data folder, and the command that works on them."""

    folder: Path

    @property
    def config(self) -> Path:
        return self.folder / "config"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def command(self, *arguments: str) -> list[str]:
        places = ["--config", str(self.config), "--data", str(self.data)]
        return [sys.executable, "-m", "cli.main", *places, "--lang", "en", *arguments]

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            self.command(*arguments),
            capture_output=True,
            text=True,
            cwd=self.folder,
            env=environment(),
            timeout=240,
        )
        if check and done.returncode:
            raise AssertionError(
                f"satudata {' '.join(arguments)}: {done.returncode}\n{done.stdout}\n{done.stderr}"
            )
        return done

    def json(self, *arguments: str, check: bool = True) -> Any:
        return json.loads(self.run(*arguments, "--json", check=check).stdout)

    def settings(self, text: str) -> None:
        self.config.mkdir(parents=True, exist_ok=True)
        (self.config / "satudata.yml").write_text(text, "utf-8")

    def source(self, name: str, text: str) -> None:
        (self.config / "sources").mkdir(parents=True, exist_ok=True)
        (self.config / "sources" / f"{name}.yml").write_text(text, "utf-8")

    @contextmanager
    def serving(self, *, workers: int = 1) -> Iterator[str]:
        """Serve; yield the base address; stop by our own process id."""
        port = free_port()
        log = (self.folder / f"serve-{port}.log").open("wb")
        command = self.command("serve", "--port", str(port), "--workers", str(workers), "--no-schedule")
        child = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder, env=environment())
        base = f"http://127.0.0.1:{port}"
        try:
            wait_until_serving(base, child, self.folder / f"serve-{port}.log")
            yield base
        finally:
            end(child)
            log.close()


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(HOUSE), "PYTHONWARNINGS": "default"}


def wait_until_serving(
    base: str, child: subprocess.Popen[bytes], log: Path, seconds: float = PATIENCE
) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and child.poll() is None:
        try:
            if requests.get(f"{base}/health", timeout=5).ok:
                return
        except (
            requests.ConnectionError,
            requests.Timeout,
        ):  # a busy machine: it may listen and not answer yet
            time.sleep(0.1)
    raise AssertionError(f"the server did not start:\n{log.read_text('utf-8', 'replace')[-3000:]}")


CIANJUR = """
id: cianjur
type: file
url: {file}
title: {{id: Cianjur, en: Cianjur}}
produsen_data: Badan Informasi Geospasial
walidata: Badan Informasi Geospasial
contact: {{organisation: BIG, email: data@example.go.id}}
layers:
  - remote: desa
    id: desa-cianjur
    title: {{id: Batas Desa Cianjur, en: Villages of Cianjur}}
    description: {{id: Batas desa., en: Village boundaries.}}
    region_code: {{field: KDEPUM, scheme: kemendagri, vintage: 2025}}
    licence: CC-BY-4.0
  - remote: kecamatan
    id: kecamatan-cianjur
    title: {{id: Batas Kecamatan Cianjur, en: Sub-districts of Cianjur}}
"""


def cianjur(folder: Path, shared_data: Path) -> Deployment:
    """A deployment with the real Cianjur harvested from its GeoPackage."""
    deployment = Deployment(folder)
    deployment.settings("harvest: {contact: test@example.org}\n")
    deployment.source("cianjur", CIANJUR.format(file=shared_data / "cianjur_desa.gpkg"))
    rows = deployment.json("harvest", "cianjur")
    assert rows[0]["state"] == "ok", rows
    return deployment


@contextmanager
def sample_upstream(deployment: Deployment) -> Iterator[None]:
    """The sample upstream on a port of its own, where the deployment's sources then expect it."""
    port = free_port()
    for file in (deployment.config / "sources").glob("*.yml"):
        file.write_text(re.sub(r"127\.0\.0\.1:\d+", f"127.0.0.1:{port}", file.read_text("utf-8")), "utf-8")
    child = subprocess.Popen(
        deployment.command("sample", "serve", "--port", str(port)), cwd=deployment.folder, env=environment(),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        until(lambda: child.poll() is not None or listens(port), "the sample upstream")
        assert child.poll() is None, f"the sample upstream ended with {child.returncode}"
        yield
    finally:
        end(child)
