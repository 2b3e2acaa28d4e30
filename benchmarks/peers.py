"""The peers, each in its own process on a free loopback port, all reading the same PostGIS table."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from benchmarks.measure import wait_for
from tests.servers import free_port

HOUSE = Path(__file__).resolve().parents[1]
CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
VENV = HOUSE / ".tools" / "peers"


def ensure_venv() -> Path:
    """Install the peers once; return their Python."""
    python = VENV / "bin" / "python"
    stamp, wanted = VENV / ".installed", (HOUSE / "benchmarks" / "peers.txt").read_text()
    if not stamp.exists() or stamp.read_text() != wanted:
        subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
        subprocess.run(
            [python, "-m", "pip", "install", "-q", "-r", HOUSE / "benchmarks" / "peers.txt"], check=True
        )
        stamp.write_text(wanted)
    return python


@contextmanager
def process(command: list[str], folder: Path, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server; its output goes to a file; it is ended by its own process id."""
    with (folder / f"{Path(command[0]).name}-{free_port()}.log").open("wb") as log:
        child = subprocess.Popen(
            command,
            stdout=log,
            stderr=log,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(HOUSE), **environment},
        )
        try:
            yield child
        finally:
            child.terminate()
            try:
                child.wait(15)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


@contextmanager
def tipg(dsn: str, folder: Path) -> Iterator[tuple[int, str]]:
    """Yield (process id, items address) of tipg with one worker."""
    port = free_port()
    command = [
        str(ensure_venv()),
        "-m",
        "uvicorn",
        "tipg.main:app",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    settings = {"DATABASE_URL": dsn, "TIPG_DB_SCHEMAS": '["public"]', "TIPG_DEFAULT_FEATURES_LIMIT": "10",
                "TIPG_MAX_FEATURES_PER_QUERY": "10000"}  # fmt: skip
    with process([*command, "--log-level", "warning"], folder, **settings) as child:
        items = f"http://127.0.0.1:{port}/collections/public.desa/items"
        wait_for(f"{items}?limit=1")
        yield child.pid, items


@contextmanager
def plain_pygeoapi(dsn: str, folder: Path) -> Iterator[tuple[int, str]]:
    """Yield (process id, items address) of pygeoapi as it comes, with its PostgreSQL provider."""
    port = free_port()
    config, openapi = folder / "pygeoapi.yml", folder / "openapi.yml"
    config.write_text(yaml.safe_dump(_pygeoapi_config(dsn, port)))
    names = {"PYGEOAPI_CONFIG": str(config), "PYGEOAPI_OPENAPI": str(openapi)}
    python = str(ensure_venv())
    subprocess.run(
        [f"{VENV}/bin/pygeoapi", "openapi", "generate", str(config), "--output-file", str(openapi)],
        check=True, cwd=folder, env={**os.environ, **names}, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    command = [
        python,
        "-m",
        "uvicorn",
        "pygeoapi.starlette_app:APP",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    with process([*command, "--log-level", "warning"], folder, **names) as child:
        items = f"http://127.0.0.1:{port}/collections/desa/items"
        wait_for(f"{items}?limit=1")
        yield child.pid, items


def _pygeoapi_config(dsn: str, port: int) -> dict[str, object]:
    parts = urlsplit(dsn)
    base = f"http://127.0.0.1:{port}"
    return {
        "server": {
            "bind": {"host": "127.0.0.1", "port": port}, "url": base,
            "mimetype": "application/json; charset=UTF-8", "encoding": "utf-8", "gzip": False,
            "languages": ["en-US"], "map": {"url": base, "attribution": "-"},
            "limits": {"default_items": 10, "max_items": 10000}, "admin": False,
        },
        "logging": {"level": "ERROR"},
        "metadata": {
            "identification": {"title": "bench", "description": "bench", "keywords": ["bench"],
                               "keywords_type": "theme", "terms_of_service": base, "url": base},
            "license": {"name": "-", "url": base}, "provider": {"name": "-", "url": base},
            "contact": {"name": "-", "email": "x@example.org"},
        },
        "resources": {
            "desa": {
                "type": "collection", "title": "desa", "description": "desa", "keywords": ["desa"],
                "links": [],
                "extents": {"spatial": {"bbox": [94, -12, 142, 7], "crs": CRS84}},
                "providers": [{
                    "type": "feature", "name": "PostgreSQL", "id_field": "ogc_fid", "table": "desa",
                    "geom_field": "geom",
                    "data": {"host": parts.hostname, "port": parts.port, "dbname": parts.path[1:],
                             "user": parts.username, "password": "", "search_path": ["public"]},
                }],
            }
        },
    }  # fmt: skip
