"""A real Koop (Esri's own ArcGIS REST server for Node) on GeoJSON files, and a proxy that caps it.

Koop states `maxRecordCount` and does not enforce it; ArcGIS Server does. The proxy in front cuts
answers at `cap` features and sets `exceededTransferLimit`.
"""

from __future__ import annotations

import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fiona
import orjson
import pytest

from tests.servers import PATIENCE, end, free_port, missing
from tests.servers.loopback import Answer, Asked, serve

_TOOLS = Path(__file__).resolve().parents[2] / ".tools" / "koop"
_START = """
const Koop = require('@koopjs/koop-core')
const provider = require('@koopjs/provider-file-geojson')
const koop = new Koop({ logLevel: 'error' })
koop.register(provider, { dataDir: 'data' })
koop.server.listen(Number(process.env.PORT), '127.0.0.1')
"""


class Koop:
    """A running Koop. `folder` holds the GeoJSON files (`<name>.geojson`), read at each request."""

    def __init__(self, port: int, folder: Path) -> None:
        self.base, self.folder = f"http://127.0.0.1:{port}", folder

    def service(self, name: str) -> str:
        """Return the address of a file's FeatureServer."""
        return f"{self.base}/file-geojson/rest/services/{name}/FeatureServer"

    def put(self, name: str, path: Path, layer: str) -> str:
        """Publish a layer of a GeoPackage; return the service's address. OBJECTID is the row number."""
        with fiona.open(path, layer=layer) as source:
            features = [
                {
                    "type": "Feature",
                    "properties": {"OBJECTID": number, **dict(f.properties)},
                    "geometry": f.geometry.__geo_interface__,
                }
                for number, f in enumerate(source, start=1)
            ]
        metadata = {"idField": "OBJECTID", "name": name, "maxRecordCount": 1000}
        body = {"type": "FeatureCollection", "metadata": metadata, "features": features}
        (self.folder / f"{name}.geojson").write_bytes(orjson.dumps(body, default=list))
        return self.service(name)


@pytest.fixture(scope="session")
def koop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Koop]:
    """One Koop for the session."""
    node = shutil.which("node")
    if not node or not (_TOOLS / ".installed").exists():
        missing("koop", "Node or Koop is not installed (tests/servers/setup_koop.sh)")
    home, port = tmp_path_factory.mktemp("koop"), free_port()
    (home / "data").mkdir()
    with (home / "koop.log").open("wb") as log:
        process = subprocess.Popen(
            [node, "-e", _START],
            cwd=home,
            stdout=log,
            stderr=log,
            env={"PORT": str(port), "NODE_PATH": str(_TOOLS / "node_modules"), "PATH": "/usr/bin:/bin"},
        )
    try:
        _wait(f"http://127.0.0.1:{port}/", process, home / "koop.log")
        yield Koop(port, home / "data")
    finally:
        end(process)


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"Koop ended:\n{log.read_text('utf-8', 'replace')[-2000:]}")
        try:
            urllib.request.urlopen(url, timeout=20).close()
            return
        except urllib.error.HTTPError as answered:
            answered.close()
            return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError("Koop does not answer")


@contextmanager
def capped(service: str, cap: int, questions: list[dict[str, str]] | None = None) -> Iterator[str]:
    """Stand before a service and give at most `cap` features in an answer; yields its address."""
    base, _, path = service.partition("/file-geojson")

    def app(asked: Asked) -> Answer:
        form = dict(urllib.parse.parse_qsl(asked.body.decode())) if asked.body else asked.params
        query = urllib.parse.urlencode(_spelt(form))
        with urllib.request.urlopen(base + asked.path, data=query.encode(), timeout=60) as answer:
            body: dict[str, Any] = orjson.loads(answer.read())
        if questions is not None and "features" in body:
            questions.append(form)
        if "maxRecordCount" in body:
            body["maxRecordCount"] = cap
        if len(body.get("features", ())) > cap:
            body["features"] = body["features"][:cap]
            body["exceededTransferLimit"] = True
        return Answer(orjson.dumps(body), type="application/json")

    with serve(app) as url:
        yield f"{url}/file-geojson{path}"


def _spelt(form: dict[str, str]) -> dict[str, str]:
    return {_NAMES.get(k, k): v for k, v in form.items()}


_NAMES = {
    n.lower(): n
    for n in (
        "returnCountOnly",
        "returnIdsOnly",
        "returnGeometry",
        "orderByFields",
        "outFields",
        "outSR",
        "objectIds",
    )
}
