"""The version reader of the embedded store: SQLite for questions, mapped texts for answers."""

from __future__ import annotations

import json
import sqlite3
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import shapely

from catalog.errors import PublishError, QueryError
from catalog.model import FieldType, LayerSchema, VersionInfo
from layers.columns import FID, GEOM, ID, column_names, quote
from layers.contract import FeatureBatch, Geometries
from layers.files import LayerFiles
from layers.geopackage.dialect import SqliteDialect, register_functions
from layers.geopackage.format import get_schema, rtree, wkb_of
from layers.geopackage.sqlite import open_readonly, storage_errors
from layers.query.sql import Sql
from layers.query.tokens import integer_id
from layers.reader import Parts, VersionReader
from layers.texts import Texts
from layers.values import native


class GeoPackageReader(VersionReader):
    """Reads one version's files."""

    IDLE_KEPT: ClassVar[int] = 4

    def __init__(self, files: LayerFiles, info: VersionInfo, *, mapped: bool = True) -> None:
        """Open the files; `mapped` False reads through buffers, so that a harvest's memory stays flat."""
        if not files.gpkg(info.version).is_file():
            raise PublishError(f"version {info.version} is not stored", where=info.layer_id)
        schema = info.schema if info.schema is not None else LayerSchema(())
        self._columns = column_names(schema)
        self._table = quote(info.layer_id)
        super().__init__(info, SqliteDialect(self._columns, self._table, quote(rtree(info.layer_id))))
        self._path: Path = files.gpkg(info.version)
        self._mapped = mapped
        self._idle: deque[sqlite3.Connection] = deque()
        self.closed = True
        with storage_errors(info.layer_id):
            self._json = Texts(files.texts(info.version), files.index(info.version), info.count)
            self._idle.append(self._connect())
        self.closed = False

    def _connect(self) -> sqlite3.Connection:
        db = open_readonly(self._path, mapped=self._mapped)
        register_functions(db)
        return db

    @contextmanager
    def _db(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection: one thread at a time has it, a few are kept for the next."""
        try:
            db = self._idle.pop()
        except IndexError:
            db = self._connect()
        try:
            yield db
        finally:
            if self.closed or len(self._idle) >= self.IDLE_KEPT:
                db.close()
            else:
                self._idle.append(db)

    def _all(self, sql: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with self._db() as db:
            return db.execute(sql, params).fetchall()

    def _select(self, columns: Sequence[str], where: Sql, tail: Sql) -> list[tuple[Any, ...]]:
        condition = f" WHERE {where.text}" if where else ""
        text = f"SELECT {', '.join(columns)} FROM {self._table}{condition} {tail.text}"
        try:
            return self._all(text, (*where.params, *tail.params))
        except (
            sqlite3.OperationalError,
            sqlite3.ProgrammingError,
            OverflowError,
            UnicodeEncodeError,
        ) as error:
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
        found = dict(self._all(sql, tuple(fids)))
        return shapes_of([found[fid] for fid in fids])

    def _fid_before(self, feature_id: str) -> int:
        ordered, key = ID, feature_id if not self.schema.integer_ids else integer_id(feature_id)
        if self.schema.integer_ids:
            ordered = f"CAST({ID} AS INTEGER)"
            exact = self._all(f"SELECT {FID} FROM {self._table} WHERE {ID} = ?", (feature_id,))
            if exact:
                return int(exact[0][0])
        sql = f"SELECT {FID} FROM {self._table} WHERE {ordered} <= ? ORDER BY {ordered} DESC LIMIT 1"
        found = self._all(sql, (key,))
        return int(found[0][0]) if found else 0

    def _batch(self, fids: Sequence[int], names: Sequence[str], *, geometry: bool) -> FeatureBatch:
        kinds = {f.name: f.type for f in self.schema.fields}
        plain = [kinds[n] in (FieldType.TEXT, FieldType.INTEGER, FieldType.REAL) for n in names]
        spatial = geometry and self.schema.geometry_type is not None
        rows = self._rows([ID, *([GEOM] if spatial else []), *(self._columns[n] for n in names)], fids)
        skip = 2 if spatial else 1
        attributes = [
            {n: v if p else native(v, kinds[n]) for n, p, v in zip(names, plain, row[skip:], strict=True)}
            for row in rows
        ]
        shapes = shapes_of([row[1] for row in rows]) if spatial else None
        return FeatureBatch([row[0] for row in rows], attributes, shapes)

    def _rows(self, columns: Sequence[str], fids: Sequence[int]) -> list[tuple[Any, ...]]:
        """Return rows in id order, which is that of the fids."""
        listed = ", ".join(quote(c) for c in columns)
        params: list[Any]
        if isinstance(fids, range):
            known, params = f"{FID} BETWEEN ? AND ?", [fids.start, fids.stop - 1]
        else:
            known, params = f"{FID} IN (SELECT value FROM json_each(?))", [json.dumps(list(fids))]
        return self._all(f"SELECT {listed} FROM {self._table} WHERE {known} ORDER BY {FID}", params)

    def hashes(self, integer_ids: bool, *, step: int = 5000) -> Iterator[tuple[str, bytes]]:
        """Stream (id, content hash) in the id order of a schema with these ids."""
        order = f"CAST({ID} AS INTEGER), {ID}" if integer_ids else ID
        sql = f"SELECT {ID}, {FID} FROM {self._table} ORDER BY {order}"
        with self._db() as db:
            cursor = db.execute(sql)
            while rows := cursor.fetchmany(step):
                digests = self._json.hashes_of([fid for _, fid in rows])
                yield from zip([feature_id for feature_id, _ in rows], digests, strict=True)

    def checksum(self) -> str:
        """Return the checksum over all content hashes."""
        return self._json.checksum()

    def integrity(self, *, deep: bool) -> list[str]:
        """Return what is wrong with the files: pages of SQLite, with `deep` also indexes and texts."""
        check = "integrity_check" if deep else "quick_check"
        found = [str(row[0]) for row in self._all(f"PRAGMA {check}(5)")]
        if deep and not self._json.whole():
            found.append("the texts are not those that were written")
        return [] if found == ["ok"] else found

    def close(self) -> None:
        """Close connections and unmap the texts."""
        self.closed = True
        while self._idle:
            self._idle.pop().close()
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
    db = open_readonly(path, mapped=False)
    try:
        count = db.execute(f"SELECT max({FID}) FROM {quote(table)}").fetchone()[0]
        return get_schema(db), int(count or 0)
    finally:
        db.close()
