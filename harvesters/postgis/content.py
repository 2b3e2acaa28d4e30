"""The rows of one PostgreSQL table: one snapshot, a server-side cursor, in order of the key."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence, Set
from typing import Any

import numpy as np
import psycopg
import shapely
from psycopg import sql

from catalog.errors import (
    AuthSourceError,
    CancelledRunError,
    ConfigError,
    ProtocolError,
    SourceError,
    TransientSourceError,
)
from catalog.model import LayerSchema
from catalog.sources import LayerConfig
from harvesters.contract import FeaturePage, Listing
from harvesters.postgis.table import Table
from layers.contract import FeatureBatch

type Connect = Callable[[], psycopg.Connection]
_EMPTY = shapely.GeometryCollection()


def connected(**conninfo: Any) -> psycopg.Connection:
    """Connect for repeatable-read, read-only transactions; raises the SourceError tree."""
    try:
        connection = psycopg.connect(**conninfo)
    except psycopg.OperationalError as e:
        raise source_error(e) from None  # the cause may show the connection string
    connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    connection.read_only = True
    return connection


def source_error(error: psycopg.Error) -> SourceError:
    """Turn a database error into one of ours."""
    text = str(error).strip().split("\n")[0]
    state = error.sqlstate or ""
    # Refused connections carry no SQLSTATE, only words.
    words = ("password", "authentication", "role ", "pg_hba")
    if state.startswith("28") or state == "42501" or any(word in text for word in words):
        return AuthSourceError(text)
    if "does not exist" in text:
        return ProtocolError(text)
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return TransientSourceError(text)
    return ProtocolError(text)


class PostgisContent:
    """Implements `FeatureContent` for one table or view."""

    def __init__(
        self, connect: Connect, table: Table, layer: LayerConfig, page_size: int, cancel: threading.Event
    ) -> None:
        self._connect, self._table, self._layer = connect, table, layer
        self._size, self._cancel = page_size, cancel
        self._connection: psycopg.Connection | None = None

    def schema(self) -> LayerSchema:
        """Return the shape; the CRS is the table's own."""
        t = self._table
        return LayerSchema(
            fields=t.fields,
            geometry_type=t.geometry_type,
            crs=t.crs or "EPSG:4326",
            integer_ids=t.integer_key,
        )

    def close(self) -> None:
        """End the snapshot."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    # -- listing ------------------------------------------------------------------------------

    def listing(self) -> Listing:
        """Open a new snapshot and read count, ids and the state of its content."""
        self.close()
        self._connection = self._connect()
        try:
            ids = tuple(self._ids(self._connection))
            stage = self._stage(self._connection, ids)
        except psycopg.Error as e:
            raise self._error(e) from e
        return Listing(count=len(ids), ids=ids, stage=stage, certain=bool(stage))

    def _ids(self, connection: psycopg.Connection) -> Iterator[str]:
        with connection.cursor(name="ids") as cursor:
            cursor.itersize = 10_000
            cursor.execute(self._select([self._id()]))
            for number, (value,) in enumerate(cursor):
                self._check(number)
                if value is None:
                    raise ProtocolError("a row has no id", where=self._table.name)
                yield str(value)

    def _stage(self, connection: psycopg.Connection, ids: Sequence[str]) -> str:
        """Name the content's state by the row versions (xmin); a view has none: nothing to resume."""
        if not self._table.has_xmin:
            return ""
        state = connection.execute(
            sql.SQL(
                "SELECT coalesce(sum(hashtextextended({} || xmin::text, 0)::numeric), 0) FROM {}{}"
            ).format(self._id(), self._table.relation, self._condition())
        ).fetchone()
        parts = (state, self._size, self._table.fields, hashlib.sha256("\n".join(ids).encode()).hexdigest())
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:20]

    # -- pages --------------------------------------------------------------------------------

    def pages(self, listing: Listing, staged: Set[str]) -> Iterator[FeaturePage]:
        """Yield pages of the snapshot that `listing` opened."""
        yield from self._read(self._rows(None), listing.ids or (), staged)

    def refetch(self, ids: tuple[str, ...]) -> Iterator[FeaturePage]:
        """Yield single rows of the same snapshot."""
        yield from self._read(self._rows(list(ids)), ids, frozenset(), again=True)

    def _rows(self, ids: list[str] | None) -> sql.Composed:
        columns = [
            sql.SQL(read).format(sql.Identifier(f.name))
            for f, read in zip(self._table.fields, self._table.reads, strict=True)
        ]
        shape = [self._shape()] if self._table.geometry else []
        chosen = sql.SQL("{} = ANY ({})").format(self._id(), sql.Literal(ids)) if ids is not None else None
        return self._select([self._id(), *shape, *columns], chosen)

    def _read(
        self, query: sql.Composed, ids: Sequence[str], staged: Set[str], *, again: bool = False
    ) -> Iterator[FeaturePage]:
        if self._connection is None:
            raise ProtocolError("pages were asked for before the listing", where=self._table.name)
        try:
            with self._connection.cursor(name="pages", binary=True) as cursor:
                cursor.itersize = self._size
                cursor.execute(query)
                for start in range(0, len(ids), self._size):
                    self._check(start)
                    rows = cursor.fetchmany(self._size)
                    key = f"again {ids[start]}+{len(rows)}" if again else f"{start}+{self._size}"
                    if rows and key not in staged:
                        yield self._page(key, rows)
        except psycopg.Error as e:
            raise self._error(e) from e

    def _page(self, key: str, rows: list[tuple[Any, ...]]) -> FeaturePage:
        names = [f.name for f in self._table.fields]
        first = 2 if self._table.geometry else 1
        shapes = None
        if self._table.geometry:
            shapes = shapely.from_wkb(np.array([r[1] for r in rows], dtype=object))
            shapes = np.where(shapely.is_empty(shapes), None, shapes)
        values = [dict(zip(names, r[first:], strict=True)) for r in rows]
        return FeaturePage(key, FeatureBatch([str(r[0]) for r in rows], values, shapes))

    # -- SQL ----------------------------------------------------------------------------------

    def _select(self, columns: list[sql.Composable], chosen: sql.Composable | None = None) -> sql.Composed:
        order = sql.SQL(", ").join(sql.Identifier("satudata_t", k) for k in self._table.key)
        return sql.SQL("SELECT {} FROM {} AS satudata_t{} ORDER BY {}").format(
            sql.SQL(", ").join(columns), self._table.relation, self._condition(chosen), order
        )

    def _id(self) -> sql.Composed:
        """The feature id as text; the parts of a composite key are joined by `/`."""
        parts = [sql.SQL("{}::text").format(sql.Identifier(k)) for k in self._table.key]
        return sql.SQL("({})").format(sql.SQL(" || '/' || ").join(parts))

    def _shape(self) -> sql.Composed:
        return sql.SQL("ST_AsBinary(ST_CurveToLine(ST_Force2D({}::geometry)))").format(
            sql.Identifier(self._table.geometry)
        )

    def _condition(self, more: sql.Composable | None = None) -> sql.Composable:
        own = self._layer.where
        parts: list[sql.Composable] = [sql.SQL("({})").format(sql.SQL(own))] if own else []
        if more is not None:
            parts.append(more)
        return sql.SQL(" WHERE {}").format(sql.SQL(" AND ").join(parts)) if parts else sql.SQL("")

    def _check(self, number: int) -> None:
        if number % self._size == 0 and self._cancel.is_set():
            raise CancelledRunError("cancelled", where=self._table.name)

    def _error(self, error: psycopg.Error) -> SourceError | ConfigError:
        if self._layer.where and (error.sqlstate or "").startswith("42"):
            return ConfigError(str(error).split("\n")[0], where=f"{self._table.name}: where")
        return source_error(error)
