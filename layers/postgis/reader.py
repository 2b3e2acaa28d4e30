"""The version reader of the PostGIS store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import psycopg
import shapely

from catalog.errors import QueryError
from catalog.model import VersionInfo
from layers.columns import FID, GEOM, ID, quote
from layers.contract import FeatureBatch, Geometries
from layers.fold import text_of
from layers.postgis.dialect import PostgisDialect, psycopg_text
from layers.postgis.tables import columns_of, srid, version_table
from layers.query.sql import Sql
from layers.query.tokens import integer_id
from layers.reader import Parts, VersionReader
from layers.texts import checksum, feature_text
from layers.values import native

if TYPE_CHECKING:
    from layers.postgis.store import PostgisStore


class PostgisReader(VersionReader):
    """Reads one version's tables through the store's connections."""

    def __init__(self, store: PostgisStore, info: VersionInfo) -> None:
        self._store = store
        self._columns = columns_of(info.schema) if info.schema is not None else {}
        number = srid(info.schema) if info.schema is not None else 0
        super().__init__(info, PostgisDialect(self._columns, number))
        name = quote(version_table(info.layer_id, info.version))
        self._table, self._json = f"layers.{name}", f"layers_texts.{name}"

    @property
    def table(self) -> str:
        """The version's table as SQL names it."""
        return self._table

    @property
    def columns(self) -> dict[str, str]:
        """Attribute -> column."""
        return self._columns

    def ask(self, sql: str, params: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        """Run a query of ours on the version's database (tiles are made there)."""
        return self._store.read(sql, params)

    def _select(self, columns: Sequence[str], where: Sql, tail: Sql) -> list[tuple[Any, ...]]:
        condition = f" WHERE {where.text}" if where else ""
        text = f"SELECT {', '.join(columns)} FROM {self._table}{condition} {tail.text}"
        try:
            return self._store.read(psycopg_text(text), (*where.params, *tail.params))
        except (psycopg.DataError, psycopg.errors.InternalError_) as error:
            raise QueryError("the question can not be answered: " + str(error).split("\n")[0]) from error

    def _rows(self, columns: str, table: str, fids: Sequence[int]) -> list[tuple[Any, ...]]:
        """Return rows in the order of the fids, each starting with its fid."""
        if isinstance(fids, range):
            sql = f"SELECT {FID}, {columns} FROM {table} WHERE {FID} BETWEEN %s AND %s ORDER BY {FID}"
            return self._store.read(sql, (fids.start, fids.stop - 1))
        sql = f"SELECT {FID}, {columns} FROM {table} WHERE {FID} = ANY(%s)"
        found = {row[0]: row for row in self._store.read(sql, (list(fids),))}
        return [found[fid] for fid in fids]

    def _features(self, fids: Sequence[int]) -> list[bytes]:
        return [feature_text(*parts) for parts in self._parts(fids)]

    def _parts(self, fids: Sequence[int]) -> list[Parts]:
        rows = self._rows("head, geojson, properties", self._json, fids)
        return [(head, geometry, properties) for _, head, geometry, properties in rows]

    def _shapes(self, fids: Sequence[int]) -> Geometries:
        return _shapes([row[1] for row in self._rows(f"ST_AsBinary({GEOM})", self._table, fids)])

    def _fid_before(self, feature_id: str) -> int:
        condition, value = f"{ID} <= %s", text_of(feature_id)
        if self.schema.integer_ids:
            exact = self._store.read(f"SELECT {FID} FROM {self._table} WHERE {ID} = %s", (value,))
            if exact:
                return int(exact[0][0])
            condition, value = f"{ID}::bigint <= %s::bigint", str(integer_id(value))
        sql = f"SELECT {FID} FROM {self._table} WHERE {condition} ORDER BY {FID} DESC LIMIT 1"
        found = self._store.read(sql, (value,))
        return int(found[0][0]) if found else 0

    def _batch(self, fids: Sequence[int], names: Sequence[str], *, geometry: bool) -> FeatureBatch:
        kinds = {f.name: f.type for f in self.schema.fields}
        spatial = geometry and self.schema.geometry_type is not None
        chosen = [
            ID,
            f"ST_AsBinary({GEOM})" if spatial else "NULL",
            *(quote(self._columns[n]) for n in names),
        ]
        rows = self._rows(", ".join(chosen).replace("%", "%%"), self._table, fids)
        attributes = [{n: native(v, kinds[n]) for n, v in zip(names, row[3:], strict=True)} for row in rows]
        shapes = _shapes([row[2] for row in rows]) if spatial else None
        return FeatureBatch([row[1] for row in rows], attributes, shapes)

    def hashes(self, integer_ids: bool) -> Iterator[tuple[str, bytes]]:
        """Stream (id, content hash) in the id order of a schema with these ids."""
        order = f"t.{ID}::bigint, t.{ID}" if integer_ids else f"t.{ID}"
        sql = f"SELECT t.{ID}, j.hash FROM {self._table} t JOIN {self._json} j USING ({FID}) ORDER BY {order}"
        yield from self._store.stream(sql)

    def checksum(self) -> str:
        """Return the checksum over all content hashes."""
        sql = f"SELECT {FID}, hash FROM {self._json} ORDER BY {FID}"
        return checksum(bytes(digest) for _, digest in self._store.stream(sql))

    def close(self) -> None:
        """Nothing is held: connections belong to the store."""


def _shapes(blobs: list[bytes | None]) -> Geometries:
    raw = np.empty(len(blobs), dtype=object)
    raw[:] = blobs
    found: Geometries = shapely.from_wkb(raw)
    return found
