"""Build a version's files from staging: streamed in id order, indexed, read back."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path

from catalog.errors import PublishError
from catalog.model import BBox, FieldType, LayerSchema
from layers.columns import GEOM, ID, quote
from layers.geopackage.format import (
    create_core,
    create_layer,
    create_rtree,
    create_rtree_triggers,
    put_schema,
    rtree,
    set_bounds,
)
from layers.staging import Staging
from layers.texts import TextsWriter, head

INDEXED_CELLS = 400_000
"""Layers up to this many cells get an index on every attribute; larger ones on code and time only."""
_PRAGMAS = ("journal_mode = OFF", "synchronous = OFF", "cache_size = -32000", "temp_store = FILE")


@dataclass(frozen=True, slots=True)
class Extent:
    """What a version spans: box in the stored CRS, box in degrees, first and last time."""

    bounds: BBox | None
    lonlat: BBox | None
    time: tuple[str | None, str | None]


def extent(staging: Staging) -> Extent:
    """Measure what is staged."""
    boxes = "min(minx), min(miny), max(maxx), max(maxy), min(w), min(s), max(e), max(n)"
    found = staging.db.execute(f"SELECT {boxes} FROM item").fetchone()
    first = last = None
    if staging.schema.time_field is not None:
        column = staging.columns[staging.schema.names().index(staging.schema.time_field)]
        first, last = staging.db.execute(f"SELECT min({column}), max({column}) FROM item").fetchone()
    bounds = None if found[0] is None else found[:4]
    return Extent(bounds, None if found[0] is None else found[4:], (first, last))


def build_gpkg(path: Path, table: str, columns: dict[str, str], staging: Staging, bounds: BBox | None) -> int:
    """Write the GeoPackage and return its row count; fid is 1..N in id order."""
    schema = staging.schema
    db = sqlite3.connect(path, isolation_level=None)
    try:
        for pragma in _PRAGMAS:
            db.execute(f"PRAGMA {pragma}")
        create_core(db, schema)
        create_layer(db, table, schema, columns)
        set_bounds(db, table, bounds)
        put_schema(db, table, schema)
        db.execute("ATTACH DATABASE ? AS stage", (str(staging.path),))
        db.execute("BEGIN")
        _copy(db, table, columns, staging)
        db.execute("COMMIT")
        db.execute("DETACH DATABASE stage")
        count, last = db.execute(f"SELECT count(*), max(fid) FROM {quote(table)}").fetchone()
        _index(db, table, schema, columns, count)
        if count != (last or 0):
            raise PublishError(f"row numbers are not 1 to {count}", where=path.name)
        return int(count)
    finally:
        db.close()


def _copy(db: sqlite3.Connection, table: str, columns: dict[str, str], staging: Staging) -> None:
    schema = staging.schema
    ours, theirs = [ID, *(columns[f.name] for f in schema.fields)], ["id", *staging.columns]
    if schema.geometry_type is not None:
        ours, theirs = [GEOM, *ours], ["geom", *theirs]
    into, names = ", ".join(quote(c) for c in ours), ", ".join(theirs)
    db.execute(
        f"INSERT INTO main.{quote(table)} ({into}) SELECT {names} FROM stage.item ORDER BY {staging.order}"
    )
    if schema.geometry_type is not None:
        create_rtree(db, table)
        numbered = (
            f"SELECT row_number() OVER (ORDER BY {staging.order}), minx, maxx, miny, maxy FROM stage.item"
        )
        db.execute(
            f"INSERT INTO main.{quote(rtree(table))} SELECT * FROM ({numbered}) WHERE minx IS NOT NULL"
        )


def indexed_fields(schema: LayerSchema, count: int) -> list[str]:
    """Return the attributes that get an index in a layer of `count` rows."""
    wanted = {schema.time_field, schema.region_code.field if schema.region_code else None}
    small = count * max(1, len(schema.fields)) <= INDEXED_CELLS
    return [f.name for f in schema.fields if f.name in wanted or (small and f.type is not FieldType.BOOLEAN)]


def _index(
    db: sqlite3.Connection, table: str, schema: LayerSchema, columns: dict[str, str], count: int
) -> None:
    db.execute(f"CREATE UNIQUE INDEX {quote(f'{table} {ID}')} ON {quote(table)} ({quote(ID)})")
    for name in indexed_fields(schema, count):
        column = columns[name]
        db.execute(f"CREATE INDEX {quote(f'{table} {column}')} ON {quote(table)} ({quote(column)})")
    if schema.geometry_type is not None:
        create_rtree_triggers(db, table)
    db.execute("PRAGMA analysis_limit = 1000")
    db.execute("ANALYZE")


def build_texts(texts: Path, index: Path, staging: Staging) -> tuple[int, str]:
    """Write the GeoJSON texts and their index; return count and checksum."""
    count, integer_ids = 0, staging.schema.integer_ids
    rows = staging.db.execute(f"SELECT id, geojson, properties, hash FROM item ORDER BY {staging.order}")
    with TextsWriter(texts, index) as out:
        for feature_id, geojson, properties, digest in rows:
            out.add(head(feature_id, integer_ids), geojson, properties, digest)
            count += 1
        return count, out.close()
