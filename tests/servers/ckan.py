"""A real CKAN 2.12 with PostgreSQL, Redis, Solr and the datastore, for tests marked `full`."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest
import requests

from tests.servers import free_port, missing
from tests.servers.postgres import Postgres
from tests.servers.solr import TOOLS, stop, wait_for

_INI = """\
[app:main]
use = egg:ckan
SECRET_KEY = uji
api_token.jwt.encode.secret = string:uji-uji-uji-uji-uji-uji-uji-uji-uji
api_token.jwt.decode.secret = string:uji-uji-uji-uji-uji-uji-uji-uji-uji
ckan.site_id = default
ckan.site_url = {url}
ckan.site_title = Satu Data Uji
ckan.locale_default = id
ckan.storage_path = {folder}/storage
ckan.plugins = datastore
ckan.auth.create_unowned_dataset = false
ckan.datastore.write_url = {datastore}
ckan.datastore.read_url = {datastore_ro}
ckan.redis.url = redis://127.0.0.1:{redis}/0
ckan.cache_enabled = false
solr_url = {solr}
sqlalchemy.url = {database}

[loggers]
keys = root
[handlers]
keys = console
[formatters]
keys = plain
[logger_root]
level = WARNING
handlers = console
[handler_console]
class = StreamHandler
args = (sys.stderr,)
formatter = plain
[formatter_plain]
format = %(asctime)s %(levelname)s %(name)s %(message)s
"""


@dataclass(frozen=True)
class Ckan:
    """A running CKAN: its address and a sysadmin's token."""

    url: str
    token: str = field(repr=False)

    def action(self, name: str, /, **data: object) -> object:
        """Call one action as the sysadmin and return its result."""
        answer = requests.post(
            f"{self.url}/api/3/action/{name}", json=data, headers={"Authorization": self.token}, timeout=60
        )
        assert answer.ok, answer.text[:2000]
        return answer.json()["result"]


def _ini(folder: Path, port: int, redis: int, solr: str, postgres: Postgres) -> Path:
    with psycopg.connect(postgres.dsn(), autocommit=True) as connection:
        connection.execute("CREATE ROLE ckan_uji_ro LOGIN")
    database, datastore = (url.replace("+psycopg", "") for url in (postgres.database(), postgres.database()))
    path = folder / "ckan.ini"
    path.write_text(
        _INI.format(
            url=f"http://127.0.0.1:{port}", folder=folder, redis=redis, solr=solr, database=database,
            datastore=datastore, datastore_ro=datastore.replace("postgres@", "ckan_uji_ro@"),
        ),
        "utf-8",
    )  # fmt: skip
    return path


def _start(command: list[str], folder: Path, name: str) -> subprocess.Popen[bytes]:
    with (folder / f"{name}.log").open("wb") as log:
        return subprocess.Popen(
            command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log
        )


def _ready(process: subprocess.Popen[bytes], log: Path) -> dict[str, str]:
    assert process.stdout
    for line in process.stdout:
        if line.startswith(b'{"token"'):
            found: dict[str, str] = json.loads(line)
            return found
    raise RuntimeError(f"CKAN did not start:\n{log.read_text('utf-8', 'replace')[-4000:]}")


@pytest.fixture(scope="session")
def ckan(postgres: Postgres, solr: str) -> Iterator[Ckan]:
    """Yield a CKAN with an empty catalogue."""
    redis_server = shutil.which("redis-server") or missing("ckan", "no Redis (apt-get install redis-server)")
    python = TOOLS / "ckan" / "bin" / "python"
    folder, port, redis = Path(tempfile.mkdtemp(prefix="satudata-ckan-")), free_port(), free_port()
    started: list[subprocess.Popen[bytes]] = []
    try:
        ini = _ini(folder, port, redis, solr, postgres)
        started.append(_start([redis_server, "--bind", "127.0.0.1", "--port", str(redis), "--save", ""],
                              folder, "redis"))  # fmt: skip
        app = Path(__file__).with_name("ckan_app.py")
        started.append(_start([str(python), "-P", str(app), str(ini), str(port)], folder, "ckan"))
        ready = _ready(started[-1], folder / "ckan.log")
        datastore = next(line for line in ini.read_text("utf-8").splitlines() if "write_url" in line)
        with psycopg.connect(datastore.split(" = ")[1], autocommit=True) as connection:
            connection.execute(ready["sql"].encode())
        url = f"http://127.0.0.1:{port}"
        wait_for(f"{url}/api/3/action/status_show", started[-1], folder / "ckan.log")
        yield Ckan(url, ready["token"])
    finally:
        for process in reversed(started):
            if process.stdout:
                process.stdout.close()
            stop(process)
        shutil.rmtree(folder, ignore_errors=True)
