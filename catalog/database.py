"""The one relational database: engine, migrations, transactions, and what the two dialects differ in."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import OperationalError, StatementError
from sqlalchemy.pool import ConnectionPoolEntry

from catalog import tables
from catalog.errors import ConfigError, RecordError, SatuDataError, StorageFullError
from catalog.secrets import redact

_MIGRATIONS = Path(__file__).resolve().parent / "migrations"
_BUSY_MILLISECONDS = 30_000


class Database:
    """An engine with short read and write transactions. Safe for threads and processes."""

    def __init__(self, url: str) -> None:
        self.engine = _engine(url)
        # SQLite: a write takes the write lock at its start, never in the middle, so that it waits
        # (busy timeout) instead of failing on a lock upgrade.
        self._writer = self.engine.execution_options(begin="IMMEDIATE")
        self._joined = threading.local()
        self.dialect = self.engine.dialect.name
        self._reader = self.engine
        if self.dialect == "postgresql":  # SQLite's reads are of one state already
            self._reader = self.engine.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Yield a connection that sees one consistent state."""
        with self._reader.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def together(self) -> Iterator[None]:
        """Make all writes of this thread in the block one transaction: all of them, or none."""
        if getattr(self._joined, "connection", None) is not None:
            yield
            return
        with self.write() as connection:
            self._joined.connection = connection
            try:
                yield
            finally:
                self._joined.connection = None

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """Yield a connection in one transaction; any error rolls all of it back."""
        try:
            with self._begun() as connection:
                yield connection
        except StatementError as error:
            if isinstance(error.orig, SatuDataError):  # ours, raised while values were bound
                raise error.orig from None
            if isinstance(error, OperationalError) and _is_full(error):
                raise StorageFullError(str(error.orig)) from error
            raise

    @contextmanager
    def _begun(self) -> Iterator[sa.Connection]:
        joined: sa.Connection | None = getattr(self._joined, "connection", None)
        if joined is None:
            with self._writer.begin() as connection:
                yield connection
        else:
            with joined.begin_nested():  # who catches an error of one write may go on with another
                yield joined

    def migrate(self) -> None:
        """Bring the schema to the newest revision; several processes may do so at once."""
        where = self.engine.url.render_as_string(hide_password=True)
        try:
            with self.read() as connection:
                if _revision(connection) == newest_revision():
                    return
        except OperationalError as error:
            raise ConfigError(
                f"the database can not be opened: {redact(str(error.orig)).strip()}",
                where=where,
                hint="Is it running, is its address right, and may this user write there?",
            ) from error
        from catalog.migrate import upgrade  # loads Alembic

        with self.write() as connection:
            lock(connection, "migrate")
            upgrade(connection, _MIGRATIONS, where)

    def close(self) -> None:
        """Close every pooled connection."""
        self.engine.dispose()


def upsert(table: sa.Table, rows: Sequence[Mapping[str, Any]], dialect: str) -> sa.Insert:
    """Return `INSERT ... ON CONFLICT (primary key) DO UPDATE` for some rows of equal keys."""
    key = [column.name for column in table.primary_key.columns]
    made = postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)
    made = made.values(list(rows))
    changed = {name: made.excluded[name] for name in rows[0] if name not in key}
    return made.on_conflict_do_update(index_elements=key, set_=changed)


def lock(connection: sa.Connection, name: str) -> None:
    """Hold a named lock until the transaction ends (SQLite has one writer at a time anyway)."""
    if connection.dialect.name == "postgresql":
        number = int.from_bytes(sha256(name.encode()).digest()[:8], "big", signed=True)
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(number)))


def bump(connection: sa.Connection) -> None:
    """Tell the servers that something they show has changed; call last in a transaction."""
    # Last, because on PostgreSQL this row is locked until commit and all writers pass here.
    counter = tables.counters
    connection.execute(
        counter.update().where(counter.c.name == "generation").values(value=counter.c.value + 1)
    )


def _engine(url: str) -> sa.Engine:
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError as error:
        raise ConfigError("the database URL can not be read", where="satudata.yml: database") from error
    if parsed.drivername == "sqlite":
        return _sqlite_engine(parsed)
    if parsed.drivername in {"postgresql", "postgresql+psycopg"}:
        return sa.create_engine(
            parsed.set(drivername="postgresql+psycopg"), pool_pre_ping=True, pool_size=5, max_overflow=20,
            connect_args={"options": "-c timezone=UTC"}, json_serializer=_json,
        )  # fmt: skip
    raise ConfigError(
        f"unknown database type {parsed.drivername!r}",
        hint="Use sqlite:///path or postgresql+psycopg://user@host/name.",
    )


def _sqlite_engine(url: sa.URL) -> sa.Engine:
    if not url.database or url.database == ":memory:":
        raise ConfigError(
            "an in-memory SQLite database can not be shared by workers", hint="Use sqlite:///path."
        )
    Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(url, pool_size=5, max_overflow=50, json_serializer=_json)

    @sa.event.listens_for(engine, "connect")
    def _prepare(connection: sqlite3.Connection, _entry: ConnectionPoolEntry) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves, so DDL is transactional too
        connection.execute(f"PRAGMA busy_timeout = {_BUSY_MILLISECONDS}")
        _use_wal(connection)
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql(f"BEGIN {connection.get_execution_options().get('begin', 'DEFERRED')}")

    return engine


def _use_wal(connection: sqlite3.Connection) -> None:
    """Switch to write-ahead logging; this one statement does not heed the busy timeout by itself."""
    until = time.monotonic() + _BUSY_MILLISECONDS / 1000
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > until:
                raise
            time.sleep(0.02)
        else:
            return


def _json(value: Any) -> str:
    try:
        return json.dumps(tables.storable(value), ensure_ascii=False, allow_nan=False)
    except ValueError as error:
        raise RecordError(f"a value can not be stored: {error}") from error


def newest_revision() -> str:
    """Return the revision that this program's tables are at: that of the last migration file."""
    return max(path.name.split("_")[0] for path in (_MIGRATIONS / "versions").glob("[0-9]*_*.py"))


def _revision(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
    return found


def _is_full(error: OperationalError) -> bool:
    return "disk is full" in str(error.orig) or getattr(error.orig, "sqlstate", "") == "53100"
