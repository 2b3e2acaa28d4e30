"""The version reader of the embedded store: SQLite for questions, mapped texts for answers."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from catalog.errors import PublishError, QueryError
from catalog.model import FieldType, LayerSchema, VersionInfo
from layers.columns import FID, GEOM, ID, column_names, quote
from layers.contract import FeatureBatch, Geometries
from layers.files import LayerFiles
from layers.geopackage_format import get_schema, rtree, wkb_of
from layers.reader import Parts, VersionReader, columns_or_all
from layers.sql import Sql
from layers.sqlite import open_readonly, storage_errors
from layers.sqlite_dialect import SqliteDialect, register_functions
from layers.texts import Texts
from layers.values import native


class GeoPackageReader(VersionReader):
    """Reads one version's files; one connection per thread."""

    def __init__(self, files: LayerFiles, info: VersionInfo) -> None:
        if not files.gpkg(info.version).is_file():
            raise PublishError(f"version {info.version} is not stored", where=info.layer_id)
        schema = info.schema if info.schema is not None else LayerSchema(())
        self._columns = column_names(schema)
        self._table = quote(info.layer_id)
        super().__init__(info, SqliteDialect(self._columns, self._table, quote(rtree(info.layer_id))))
        self._path: Path = files.gpkg(info.version)
        self._local = threading.local()
        self._open: list[sqlite3.Connection] = []
        self.closed = True
        with storage_errors(info.layer_id):
            self._json = Texts(files.texts(info.version), files.index(info.version), info.count)
        self.closed = False

    @property
    def db(self) -> sqlite3.Connection:
        """Return this thread's connection."""
        found: sqlite3.Connection | None = getattr(self._local, "db", None)
        if found is None:
            found = open_readonly(self._path)
            register_functions(found)
            self._local.db = found
            with self._lock:
                self._open.append(found)
        return found

    def _select(self, columns: Sequence[str], where: Sql, tail: Sql) -> list[tuple[Any, ...]]:
        condition = f" WHERE {where.text}" if where else ""
        text = f"SELECT {', '.join(columns)} FROM {self._table}{condition} {tail.text}"
        try:
            return self.db.execute(text, (*where.params, *tail.params)).fetchall()
        except (sqlite3.OperationalError, OverflowError) as error:
            raise QueryError(f"the question can not be answered: {error}") from error

    def _features(self, fids: Sequence[int]) -> list[bytes]:
        if isinstance(fids, range):
            return self._json.run(fids.start, len(fids))
        return self._json.features(fids)

    def _parts(self, fids: Sequence[int]) -> list[Parts]:
        return self._json.parts(fids)

    def _shapes(self, fids: Sequence[int]) -> Geometries:
        marks = ",".join("?" * len(fids))
        sql = f"SELECT {FID}, {GEOM} FROM {self._table} WHERE {FID} IN ({marks})"
        found = dict(self.db.execute(sql, tuple(fids)).fetchall())
        return shapes_of([found[fid] for fid in fids])

    def _fid_before(self, feature_id: str) -> int:
        if not self.schema.integer_ids:
            sql = f"SELECT {FID} FROM {self._table} WHERE {ID} <= ? ORDER BY {ID} DESC LIMIT 1"
            row = self.db.execute(sql, (feature_id,)).fetchone()
            return int(row[0]) if row else 0
        sql = f"SELECT {FID} FROM {self._table} WHERE {ID} = ?"
        row = self.db.execute(sql, (feature_id,)).fetchone()
        if row is None:
            number = int(feature_id) if feature_id.removeprefix("-").isdecimal() else 0
            sql = f"SELECT count(*) FROM {self._table} WHERE CAST({ID} AS INTEGER) <= ?"
            row = self.db.execute(sql, (number,)).fetchone()
        return int(row[0])

    def batches(
        self, columns: Sequence[str] | None = None, *, size: int = 5000, geometry: bool = True
    ) -> Iterator[FeatureBatch]:
        """Stream the version in id order; dates are dates, times aware, geometries in the stored CRS."""
        names = columns_or_all(self.schema, columns)
        kinds = {f.name: f.type for f in self.schema.fields}
        plain = [kinds[n] in (FieldType.TEXT, FieldType.INTEGER, FieldType.REAL) for n in names]
        spatial = geometry and self.schema.geometry_type is not None
        chosen = [ID, *([GEOM] if spatial else []), *(self._columns[n] for n in names)]
        listed = ", ".join(quote(c) for c in chosen)
        sql = f"SELECT {listed} FROM {self._table} WHERE {FID} BETWEEN ? AND ? ORDER BY {FID}"
        skip = 2 if spatial else 1
        for first in range(1, self.info.count + 1, size):
            rows = self.db.execute(sql, (first, first + size - 1)).fetchall()
            attributes = [
                {n: v if p else native(v, kinds[n]) for n, p, v in zip(names, plain, row[skip:], strict=True)}
                for row in rows
            ]
            shapes = shapes_of([row[1] for row in rows]) if spatial else None
            yield FeatureBatch([row[0] for row in rows], attributes, shapes)

    def hashes(self, integer_ids: bool, *, step: int = 5000) -> Iterator[tuple[str, bytes]]:
        """Stream (id, content hash) in the id order of a schema with these ids."""
        order = f"CAST({ID} AS INTEGER), {ID}" if integer_ids else ID
        sql = f"SELECT {ID}, {FID} FROM {self._table} ORDER BY {order}"
        cursor = self.db.execute(sql)
        while rows := cursor.fetchmany(step):
            for feature_id, fid in rows:
                yield feature_id, self._json.hashes(fid, 1)[0]

    def checksum(self) -> str:
        """Return the checksum over all content hashes."""
        return self._json.checksum()

    def integrity(self, *, deep: bool) -> list[str]:
        """Return what is wrong with the files: pages of SQLite, with `deep` also indexes and texts."""
        check = "integrity_check" if deep else "quick_check"
        self.db.execute("PRAGMA mmap_size = 0")  # a check reads it all: the map would count as our memory
        found = [str(row[0]) for row in self.db.execute(f"PRAGMA {check}(5)")]
        if deep and not self._json.whole():
            found.append("the texts are not those that were written")
        return [] if found == ["ok"] else found

    def close(self) -> None:
        """Close connections and unmap the texts."""
        with self._lock:
            self.closed = True
            connections, self._open = self._open, []
        for connection in connections:
            connection.close()
        self._local = threading.local()
        self._json.close()

    def __del__(self) -> None:
        if not getattr(self, "closed", True):
            self.close()


def shapes_of(blobs: list[bytes | None]) -> Geometries:
    """Return geometries of GeoPackage blobs."""
    raw = np.empty(len(blobs), dtype=object)
    raw[:] = [None if blob is None else wkb_of(blob) for blob in blobs]
    found: Geometries = shapely.from_wkb(raw)
    return found


def stored_schema(path: Path, table: str) -> tuple[LayerSchema, int]:
    """Return the schema and the count that a stored version holds itself."""
    db = open_readonly(path)
    try:
        count = db.execute(f"SELECT max({FID}) FROM {quote(table)}").fetchone()[0]
        return get_schema(db), int(count or 0)
    finally:
        db.close()
