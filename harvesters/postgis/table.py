"""What a PostgreSQL table or view is: columns, key, geometry, CRS."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg
from psycopg import sql

from catalog.errors import ConfigError, ProtocolError
from catalog.model import FieldDef, FieldType
from catalog.sources import LayerConfig

_TYPES = {
    "int2": FieldType.INTEGER, "int4": FieldType.INTEGER, "int8": FieldType.INTEGER, "oid": FieldType.INTEGER,
    "float4": FieldType.REAL, "float8": FieldType.REAL, "numeric": FieldType.REAL, "money": FieldType.REAL,
    "bool": FieldType.BOOLEAN, "date": FieldType.DATE,
    "timestamp": FieldType.DATETIME, "timestamptz": FieldType.DATETIME,
}  # fmt: skip
_SHAPES = {"geometry", "geography"}
_SKIPPED = {"bytea", "raster"}
_MULTI = {
    "POINT": "Point", "MULTIPOINT": "MultiPoint",
    "LINESTRING": "MultiLineString", "MULTILINESTRING": "MultiLineString",
    "POLYGON": "MultiPolygon", "MULTIPOLYGON": "MultiPolygon", "CURVEPOLYGON": "MultiPolygon",
    "MULTISURFACE": "MultiPolygon", "COMPOUNDCURVE": "MultiLineString", "MULTICURVE": "MultiLineString",
    "CIRCULARSTRING": "MultiLineString",
}  # fmt: skip

_RELATIONS = """
SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = ANY ('{r,v,m,f,p}') AND NOT c.relispartition
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'topology') AND n.nspname !~ '^pg_'
  AND has_table_privilege(c.oid, 'SELECT')
  AND (cardinality(%(schemas)s::text[]) = 0 OR n.nspname = ANY (%(schemas)s))
  AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
ORDER BY 1"""
_COLUMNS = """
SELECT a.attname, t.typname, coalesce(col_description(a.attrelid, a.attnum), ''), a.atttypmod
FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"""
_KEY = """
SELECT a.attname FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
WHERE i.indrelid = %s::regclass AND i.indisprimary ORDER BY array_position(i.indkey::int2[], a.attnum)"""
_ABOUT = """
SELECT coalesce(obj_description(c.oid, 'pg_class'), ''), c.relkind FROM pg_class c
WHERE c.oid = %s::regclass"""


@dataclass(frozen=True, slots=True)
class Table:
    """One relation. `key` are the columns that make the feature id; `geometry` its column or ''."""

    name: str
    fields: tuple[FieldDef, ...]
    reads: tuple[str, ...]
    """SQL that reads each field; `{0}` is the column."""
    key: tuple[str, ...]
    integer_key: bool
    geometry: str
    geometry_type: str | None
    srid: int
    has_xmin: bool
    comment: str

    @property
    def relation(self) -> sql.Identifier:
        """The quoted name."""
        return sql.Identifier(*self.name.split(".", 1))

    @property
    def crs(self) -> str:
        """The CRS as `EPSG:` code, empty for a table."""
        return f"EPSG:{self.srid}" if self.geometry else ""


def relations(connection: psycopg.Connection, schemas: list[str]) -> list[str]:
    """Return `schema.table` of everything that may be read and is not an extension's own."""
    return [str(r[0]) for r in connection.execute(_RELATIONS, {"schemas": schemas})]


def describe(connection: psycopg.Connection, name: str, layer: LayerConfig) -> Table:
    """Read one relation's shape. ConfigError when the config must name its id or CRS."""
    quoted = sql.Identifier(*name.split(".", 1)).as_string(connection)
    columns = connection.execute(_COLUMNS, [quoted]).fetchall()
    about = connection.execute(_ABOUT, [quoted]).fetchone()
    if about is None:
        raise ProtocolError("no such table", where=name)
    shapes = [(c, t) for c, t, _, _ in columns if t in _SHAPES]
    geometry, kind = shapes[0] if shapes else ("", "")
    plain = [(c, t, text) for c, t, text, _ in columns if t not in _SHAPES | _SKIPPED]
    key = _key(connection, name, quoted, layer, [c for c, _, _ in plain])
    types = {c: _TYPES.get(t, FieldType.TEXT) for c, t, _ in plain}
    shape, srid = _shape(connection, name, geometry, kind) if geometry else (None, 0)
    return Table(
        name=name,
        fields=tuple(FieldDef(c, types[c], text) for c, _, text in plain),
        reads=tuple(_read(t) for _, t, _ in plain),
        key=key,
        integer_key=len(key) == 1 and types[key[0]] is FieldType.INTEGER,
        geometry=geometry,
        geometry_type=shape,
        srid=srid or _configured(layer, name) if geometry else 0,
        has_xmin=about[1] in ("r", b"r"),
        comment=str(about[0]),
    )


def _read(type_name: str) -> str:
    """Read infinite dates and numbers that are none as NULL: nothing downstream could hold them."""
    match _TYPES.get(type_name):
        case FieldType.REAL:
            number = "{0}::numeric::float8" if type_name == "money" else "{0}::float8"
            return f"CASE WHEN {number} NOT IN ('NaN', 'Infinity', '-Infinity') THEN {number} END"
        case FieldType.DATE | FieldType.DATETIME:
            return "CASE WHEN isfinite({0}) THEN {0} END"
        case None:
            return "{0}::text"
    return "{0}"


def _key(
    connection: psycopg.Connection, name: str, quoted: str, layer: LayerConfig, columns: list[str]
) -> tuple[str, ...]:
    if layer.feature_id:
        if layer.feature_id not in columns:
            raise ConfigError(
                f"no column {layer.feature_id!r}", where=f"{name}: feature_id", hint=", ".join(columns)
            )
        return (layer.feature_id,)
    key = tuple(str(r[0]) for r in connection.execute(_KEY, [quoted]))
    if not key:
        raise ConfigError("no primary key", where=name, hint="name a column of unique values as feature_id")
    return key


def _shape(connection: psycopg.Connection, name: str, column: str, kind: str) -> tuple[str, int]:
    """Return our geometry type and the SRID (0: not declared), from the catalogue or the first row."""
    schema, _, table = name.partition(".")
    view = "geometry_columns" if kind == "geometry" else "geography_columns"
    field = "f_geometry_column" if kind == "geometry" else "f_geography_column"
    found = connection.execute(
        sql.SQL(
            "SELECT type, srid FROM {} WHERE f_table_schema = %s AND f_table_name = %s AND {} = %s"
        ).format(sql.Identifier(view), sql.Identifier(field)),
        [schema, table, column],
    ).fetchone()
    declared, srid = (
        (str(found[0]).upper().removesuffix("M").removesuffix("Z"), int(found[1])) if found else ("", 0)
    )
    if not srid:
        first = connection.execute(
            sql.SQL("SELECT ST_SRID({c}::geometry) FROM {t} WHERE {c} IS NOT NULL LIMIT 1").format(
                c=sql.Identifier(column), t=sql.Identifier(schema, table)
            )
        ).fetchone()
        srid = int(first[0]) if first else 0
    return _MULTI.get(declared, "Geometry"), srid


def _configured(layer: LayerConfig, name: str) -> int:
    code = (layer.crs or "").rpartition(":")[2]
    if not code.isdigit():
        raise ConfigError("the geometry has no SRID", where=name, hint="say it: crs: EPSG:4326")
    return int(code)
