"""A private PostgreSQL with PostGIS for tests: own temporary cluster, own free port, no durability.

Use the session fixture `postgres` (imported by `tests/conftest.py`)::

    def test_x(postgres):
        url = postgres.database()              # a fresh, empty database
        url = postgres.database(postgis=True)  # ... with the extension
"""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.servers import PATIENCE, free_port, missing

_ROOTS = ("/usr/lib/postgresql", "/usr/local/pgsql", "/opt/homebrew/opt")
_FAST = (
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "autovacuum=off",
    "shared_buffers=64MB",
    "max_connections=200",
    "listen_addresses=127.0.0.1",
)

# The server ends with us, however we end: when our end of the pipe closes, its keeper stops it.
_KEEPER = '"$@" </dev/null & pid=$!; read -r _; kill -QUIT $pid; wait $pid'


class Postgres:
    """A running cluster that hands out fresh databases."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._numbers = itertools.count(1)

    def dsn(self, name: str = "postgres") -> str:
        """Return the libpq URL of database `name` (`postgresql://...`)."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{name}"

    def url(self, name: str = "postgres") -> str:
        """Return the SQLAlchemy URL of database `name`."""
        return self.dsn(name).replace("postgresql://", "postgresql+psycopg://", 1)

    def database(self, *, postgis: bool = False, like: str = "") -> str:
        """Create a fresh database (or a copy of the one at URL `like`) and return its SQLAlchemy URL."""
        name = f"t{next(self._numbers)}"
        template = like.rpartition("/")[2] or ("template_postgis" if postgis else "template0")
        with psycopg.connect(self.dsn(), autocommit=True) as connection:
            if postgis:
                self._ensure_postgis_template(connection)
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" ENCODING \'UTF8\'')
        return self.url(name)

    def drop(self, url: str) -> None:
        """Drop a database that `database` made, whoever is connected."""
        name = url.rsplit("/", 1)[1]
        with psycopg.connect(self.dsn(), autocommit=True) as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def _ensure_postgis_template(self, connection: psycopg.Connection) -> None:
        found = connection.execute("SELECT 1 FROM pg_database WHERE datname = 'template_postgis'").fetchone()
        if found:
            return
        connection.execute("CREATE DATABASE template_postgis TEMPLATE template0 ENCODING 'UTF8'")
        with psycopg.connect(self.dsn("template_postgis"), autocommit=True) as inner:
            inner.execute("CREATE EXTENSION postgis")


def _binaries() -> Path:
    on_path = shutil.which("postgres")
    if on_path:
        return Path(on_path).parent
    found = [p.parent for root in _ROOTS for p in sorted(Path(root).glob("*/bin/initdb"), reverse=True)]
    return found[0] if found else missing("postgres", "apt-get install postgresql-15-postgis-3")


def _as_owner() -> list[str]:
    """Return the command prefix: the server refuses to run as root."""
    if os.geteuid() != 0:
        return []
    try:
        pwd.getpwnam("postgres")
    except KeyError:
        missing("postgres", "running as root and there is no `postgres` user")
    return ["runuser", "-u", "postgres", "--"]


def _run(command: list[str], folder: Path) -> None:
    with (folder / "setup.log").open("ab") as log:
        done = subprocess.run(command, cwd=folder, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    if done.returncode:
        text = (folder / "setup.log").read_text("utf-8", "replace")
        raise RuntimeError(f"{' '.join(command)} failed:\n{text[-2000:]}")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One private cluster for the test session, stopped and removed afterwards."""
    with cluster() as running:
        yield running


@contextmanager
def cluster() -> Iterator[Postgres]:
    """Run a private cluster (benchmarks use it without pytest's fixtures)."""
    binaries, prefix = _binaries(), _as_owner()
    folder = Path(tempfile.mkdtemp(prefix="satudata-pg-"))
    if prefix:
        shutil.chown(folder, "postgres")
    data, port = folder / "data", free_port()
    try:
        _run(
            [*prefix, str(binaries / "initdb"), "-D", str(data), "-U", "postgres", "-A", "trust",
             "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"],
            folder,
        )  # fmt: skip
        settings = [part for s in (*_FAST, f"port={port}") for part in ("-c", s)]
        command = [str(binaries / "postgres"), "-D", str(data), "-k", str(folder), *settings]
        with (folder / "server.log").open("ab") as log:
            keeper = subprocess.Popen(
                [*prefix, "sh", "-c", _KEEPER, "sh", *command], stdin=subprocess.PIPE, stdout=log, stderr=log
            )
            try:
                server = Postgres(port)
                _wait(server, keeper, folder)
                yield server
            finally:
                keeper.communicate(timeout=60)  # closes its stdin
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _wait(server: Postgres, keeper: subprocess.Popen[bytes], folder: Path) -> None:
    until = time.monotonic() + PATIENCE
    while True:
        try:
            psycopg.connect(server.dsn(), connect_timeout=5).close()
        except psycopg.OperationalError as error:
            if keeper.poll() is not None or time.monotonic() > until:
                log = (folder / "server.log").read_text("utf-8", "replace")
                raise RuntimeError(f"PostgreSQL did not start:\n{log[-2000:]}") from error
            time.sleep(0.1)
        else:
            return
