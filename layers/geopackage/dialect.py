"""SQLite's words: R-tree first, then the exact predicate by prepared shapely geometry."""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import shapely

from catalog.model import FieldType
from layers.columns import FID, GEOM, quote
from layers.fold import folded, unaccented
from layers.geopackage.format import wkb_of
from layers.query.sql import Sql, join

_ENVELOPE, _POINT = struct.Struct("<4d"), struct.Struct("<2d")
"""In our GeoPackage blobs: the envelope after the header, or a point's coordinates in its WKB."""
PREDICATES: dict[str, Callable[[shapely.Geometry, shapely.Geometry], Any]] = {
    "intersects": shapely.intersects,
    "within": shapely.contains,
    "contains": shapely.within,
    "touches": shapely.touches,
    "crosses": shapely.crosses,
    "overlaps": shapely.overlaps,
    "equals": shapely.equals,
    "disjoint": shapely.disjoint,
}
"""Predicate of the feature -> the same said of the (prepared) literal, which comes first."""


@lru_cache(maxsize=64)
def _prepared(wkb: bytes) -> shapely.Geometry:
    geometry = shapely.from_wkb(wkb)
    shapely.prepare(geometry)
    return geometry


def _relates(predicate: str, blob: bytes | None, wkb: bytes) -> int | None:
    if blob is None:
        return None
    return int(PREDICATES[predicate](_prepared(wkb), shapely.from_wkb(wkb_of(blob))))


def _text(change: Callable[[str], str]) -> Callable[[Any], Any]:
    return lambda value: change(value) if isinstance(value, str) else None


def _meets_box(
    blob: bytes | None, wkb: bytes, west: float, south: float, east: float, north: float
) -> int | None:
    """Tell whether a geometry meets a box; one whose envelope lies inside needs no closer look."""
    if blob is None:
        return None
    if blob[3] & 0x0E:
        minx, maxx, miny, maxy = _ENVELOPE.unpack_from(blob, 8)
    else:
        minx, miny = _POINT.unpack_from(blob, 13)
        maxx, maxy = minx, miny
    if minx >= west and maxx <= east and miny >= south and maxy <= north:
        return 1
    return _relates("intersects", blob, wkb)


def _is_box(geometry: shapely.Geometry) -> bool:
    """Tell whether a geometry is a rectangle along the axes."""
    return geometry.geom_type == "Polygon" and bool(shapely.equals(geometry, shapely.envelope(geometry)))


def register_functions(db: sqlite3.Connection) -> None:
    """Give a connection the functions that `SqliteDialect` uses."""
    db.create_function("sdg_relates", 3, _relates, deterministic=True)
    db.create_function("sdg_box", 6, _meets_box, deterministic=True)
    db.create_function("sdg_fold", 1, _text(folded), deterministic=True)
    db.create_function("sdg_unaccent", 1, _text(unaccented), deterministic=True)
    db.execute("PRAGMA case_sensitive_like = 1")


class SqliteDialect:
    """See `layers.query.sql.Dialect`."""

    def __init__(self, columns: dict[str, str], table: str, rtree: str) -> None:
        self._columns = columns
        self._table = table
        self._rtree = rtree

    def column(self, name: str) -> str:
        """Return the quoted column; SQLite compares text by codepoint anyway."""
        return quote(self._columns[name])

    def value(self, value: Any, kind: FieldType) -> Sql:
        """Return a parameter."""
        return Sql("?", (int(value) if kind is FieldType.BOOLEAN else value,))

    def spatial(self, predicate: str, geometry: shapely.Geometry) -> Sql:
        """Return the R-tree condition with the exact one behind it."""
        exact = Sql(
            f"sdg_relates('{predicate}', {self._table}.{GEOM}, ?)", (shapely.to_wkb(geometry, byte_order=1),)
        )
        if predicate == "disjoint":
            return exact
        if geometry.is_empty:
            return Sql("(1 = 0)")
        west, south, east, north = geometry.bounds
        near = Sql(
            f"{self._table}.{FID} IN (SELECT id FROM {self._rtree} WHERE maxx >= ? AND minx <= ? "
            "AND maxy >= ? AND miny <= ?)",
            (west, east, south, north),
        )
        if predicate == "intersects" and _is_box(geometry):
            exact = Sql(f"sdg_box({self._table}.{GEOM}, ?, ?, ?, ?, ?)", (*exact.params, *geometry.bounds))
        return join([near, exact], "AND")

    def real(self, number: Sql) -> Sql:
        """Return a number as REAL."""
        return Sql(f"CAST({number.text} AS REAL)", number.params)

    def day(self, date: Sql, *, last: bool) -> Sql:
        """Return a date's text made an instant's."""
        return Sql(f"({date.text} || '{'T23:59:59.999Z' if last else 'T00:00:00.000Z'}')", date.params)

    def like(self, text: Sql, pattern: str) -> Sql:
        """Return a case-sensitive LIKE (the pragma is set on each connection)."""
        return Sql(f"{text.text} LIKE ? ESCAPE '\\'", (*text.params, pattern))

    def fold(self, text: Sql) -> Sql:
        """Return a text case-folded."""
        return Sql(f"sdg_fold({text.text})", text.params)

    def unaccent(self, text: Sql) -> Sql:
        """Return a text without accents."""
        return Sql(f"sdg_unaccent({text.text})", text.params)
