"""The grown layer store: one PostGIS table per version, for many servers at once."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4
from weakref import WeakValueDictionary

import psycopg

from catalog.clock import Clock, utc_now
from catalog.errors import NotFoundError, PublishError, StorageFullError
from catalog.model import Kind, LayerSchema, VersionInfo
from layers.columns import quote
from layers.files import LayerFiles, check_layer_id
from layers.geopackage.format import SCHEMA
from layers.geopackage.sqlite import drop_files, storage_errors
from layers.postgis.reader import PostgisReader
from layers.postgis.tables import CONTROL, stage_table, version_table
from layers.postgis.writer import PostgisWriter
from layers.raster import verify_raster
from layers.tiles.state import drop_tiles
from layers.verify import verify_reader

_LOCK = 7_305_177_412_063_551
"""Advisory lock while the control tables are made: CREATE IF NOT EXISTS races with itself."""
IDLE_KEPT = 8
"""Connections kept open between questions."""


class PostgisStore:
    """See `layers.contract.LayerStore`. Rasters stay files, below `root`."""

    def __init__(self, url: str, root: Path, *, clock: Clock = utc_now) -> None:
        self.clock = clock
        self.root = root
        self._url = url
        self._idle: deque[psycopg.Connection[Any]] = deque()
        self._lock = threading.Lock()
        self._readers: WeakValueDictionary[tuple[str, int], PostgisReader] = WeakValueDictionary()
        with self.transaction() as db:
            db.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
            db.execute("CREATE EXTENSION IF NOT EXISTS postgis")
            db.execute(CONTROL)

    # -- connections

    @contextmanager
    def _lend(self) -> Iterator[psycopg.Connection[Any]]:
        """Lend a connection: one thread at a time has it, a few are kept for the next."""
        try:
            db = self._idle.pop()
        except IndexError:
            db = psycopg.connect(self._url, autocommit=True, options="-c timezone=UTC -c jit=off")
        try:
            yield db
        finally:
            if db.closed or len(self._idle) >= IDLE_KEPT or not _at_rest(db):
                db.close()
            else:
                self._idle.append(db)

    @contextmanager
    def transaction(self) -> Iterator[psycopg.Connection[Any]]:
        """Run a block in one transaction."""
        with postgres_errors(), self._lend() as db, db.transaction():
            yield db

    def read(self, sql: str, params: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        """Run one query; when the server has cut kept connections, ask again on a new one."""
        with postgres_errors():
            for last in (False, True):
                with self._lend() as db:
                    try:
                        return db.execute(sql, params, binary=True).fetchall()
                    except psycopg.OperationalError:
                        if last or not db.closed:
                            raise
                self._drop_idle()
        raise AssertionError

    def stream(self, sql: str) -> Iterator[tuple[Any, Any]]:
        """Stream rows of two columns through a server-side cursor."""
        name = f"c{uuid4().hex}"
        with self.transaction() as db, db.cursor(name, binary=True) as cursor:
            cursor.itersize = 5000
            cursor.execute(sql)
            for row in cursor:
                yield row[0], row[1]

    def _drop_idle(self) -> None:
        while self._idle:
            self._idle.pop().close()

    def close(self) -> None:
        """Close all connections."""
        self._drop_idle()

    # -- the contract

    def writer(self, layer_id: str, schema: LayerSchema, stage: str) -> PostgisWriter:
        """Open (or resume) staging."""
        return PostgisWriter(self, layer_id, schema, stage)

    def reader(self, info: VersionInfo) -> PostgisReader:
        """Open a version for reading; the same reader for all that read it at a time."""
        with self._lock:
            key = (info.layer_id, info.version)
            found = self._readers.get(key)
        if found is None or found.info.checksum != info.checksum:
            self._must_exist(info.layer_id, info.version)
            found = PostgisReader(self, info)
            with self._lock:
                self._readers[key] = found
        return found

    def _must_exist(self, layer_id: str, version: int) -> tuple[Any, int]:
        sql = "SELECT schema::text, count FROM layers.version WHERE layer_id = %s AND version = %s"
        found = self.read(sql, (layer_id, version))
        if not found:
            raise PublishError(f"version {version} is not stored", where=layer_id)
        return found[0][0], int(found[0][1])

    def open_version(self, layer_id: str, version: int) -> PostgisReader:
        """Open a stored version by its number, with the schema it holds itself."""
        text, count = self._must_exist(layer_id, version)
        schema = SCHEMA.validate_json(text)
        kind: Kind = "feature" if schema.geometry_type else "table"
        return PostgisReader(self, VersionInfo(layer_id, version, kind, count, "", schema))

    def versions(self, layer_id: str) -> list[int]:
        """Return the version numbers that are stored, oldest first."""
        sql = "SELECT version FROM layers.version WHERE layer_id = %s ORDER BY version"
        tables = [version for (version,) in self.read(sql, (layer_id,))]
        return sorted({*tables, *LayerFiles(self.root, layer_id).versions(".tif")})

    def next_version(self, layer_id: str) -> int:
        """Return a number above every stored one."""
        return max([0, *self.versions(layer_id)]) + 1

    def verify(self, info: VersionInfo, *, deep: bool = True) -> None:
        """Raise PublishError when count, checksum or content of the stored version is off."""
        if info.kind == "raster":
            verify_raster(info, self.root)
            return
        self._must_exist(info.layer_id, info.version)
        verify_reader(PostgisReader(self, info), info, deep=deep)

    def remove(self, layer_id: str, version: int) -> None:
        """Delete one version's tables and its entry."""
        check_layer_id(layer_id)
        with self._lock:
            self._readers.pop((layer_id, version), None)
        name = quote(version_table(layer_id, version))
        with self.transaction() as db:
            db.execute("DELETE FROM layers.version WHERE layer_id = %s AND version = %s", (layer_id, version))
            db.execute(f"DROP TABLE IF EXISTS layers.{name}")
            db.execute(f"DROP TABLE IF EXISTS layers_texts.{name}")
        with storage_errors(layer_id):
            drop_files(LayerFiles(self.root, layer_id).raster(version))
            drop_tiles(self.root, layer_id, version)

    def stages(self) -> list[tuple[str, str]]:
        """Return (layer, stage) of unfinished staging."""
        found = self.read("SELECT layer_id, stage FROM layers_stage.stage ORDER BY 1, 2", ())
        return [(layer, stage) for layer, stage in found]

    def discard(self, layer_id: str, stage: str) -> None:
        """Throw unfinished staging away."""
        name = stage_table(layer_id, stage)
        with self.transaction() as db:
            db.execute(f"DROP TABLE IF EXISTS layers_stage.{name}")
            db.execute("DELETE FROM layers_stage.page WHERE name = %s", (name,))
            db.execute("DELETE FROM layers_stage.stage WHERE name = %s", (name,))


def _at_rest(db: psycopg.Connection[Any]) -> bool:
    return db.info.transaction_status == psycopg.pq.TransactionStatus.IDLE


@contextmanager
def postgres_errors() -> Iterator[None]:
    """Turn errors of the database into ours; data errors pass, they are the question's fault."""
    try:
        yield
    except psycopg.errors.DiskFull as error:
        raise StorageFullError("the database's disk is full; what was staged is kept") from error
    except psycopg.errors.UndefinedTable as error:
        raise NotFoundError("the version was removed from the layer database") from error
    except (psycopg.DataError, psycopg.errors.InternalError_):
        raise
    except psycopg.Error as error:
        first = str(error).split("\n")[0]
        raise PublishError(f"the layer database refused: {first}") from error
