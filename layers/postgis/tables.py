"""Tables of the PostGIS store: what is where, and the SQL that makes a version from its staging.

`layers.version` says which versions exist; the table of each stands beside it, usable in QGIS as
it is. Ready texts are in schema `layers_texts`, unfinished staging in `layers_stage`.
"""

from __future__ import annotations

from hashlib import sha256
from itertools import accumulate

from catalog.model import FieldType, LayerSchema
from layers.columns import FID, GEOM, ID, POSTGRES_RESERVED, column_names, quote
from layers.geometry import type_name
from layers.geopackage.format import CUSTOM_SRS, srs_id

CONTROL = """
CREATE SCHEMA IF NOT EXISTS layers;
CREATE SCHEMA IF NOT EXISTS layers_texts;
CREATE SCHEMA IF NOT EXISTS layers_stage;
CREATE TABLE IF NOT EXISTS layers.version (layer_id text NOT NULL, version integer NOT NULL, name text NOT NULL UNIQUE,
  schema jsonb NOT NULL, count bigint NOT NULL, created timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (layer_id, version));
CREATE TABLE IF NOT EXISTS layers_stage.stage (layer_id text NOT NULL, stage text NOT NULL, name text NOT NULL UNIQUE,
  fingerprint text NOT NULL, started timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (layer_id, stage));
CREATE TABLE IF NOT EXISTS layers_stage.page (name text NOT NULL, key text NOT NULL, number bigint NOT NULL,
  PRIMARY KEY (name, key));
"""  # noqa: E501
SQL_TYPES: dict[FieldType, str] = {
    FieldType.TEXT: 'text COLLATE "C"', FieldType.INTEGER: "bigint", FieldType.REAL: "double precision",
    FieldType.BOOLEAN: "boolean", FieldType.DATE: "date", FieldType.DATETIME: "timestamptz",
}  # fmt: skip
_ROW_BYTES = 7600
FIRST = ("id", "page", "hash", "w", "s", "e", "n")
LAST = ("properties", "geom", "geojson")


def columns_of(schema: LayerSchema) -> dict[str, str]:
    """Return attribute -> column; PostgreSQL takes names of 63 bytes and rows of 8 KB.

    A text takes up to 18 bytes of the row (the rest is kept aside), other values 8.
    """
    widths = [18 if f.type is FieldType.TEXT else 8 for f in schema.fields]
    limit = sum(total < _ROW_BYTES for total in accumulate(widths))
    return column_names(schema, reserved=POSTGRES_RESERVED, limit=limit, longest=63)


def short_name(*parts: str) -> str:
    """Return a table name of at most 55 bytes, made unique by a hash when cut."""
    name = "_".join(parts)
    return name if len(name) <= 55 else f"{name[:42]}_{sha256(name.encode()).hexdigest()[:12]}"


def version_table(layer_id: str, version: int) -> str:
    """Return the name of a version's table."""
    return short_name(layer_id, f"v{version}")


def stage_table(layer_id: str, stage: str) -> str:
    """Return the name of a stage's table."""
    return f"s_{sha256(f'{layer_id}\0{stage}'.encode()).hexdigest()[:40]}"


def srid(schema: LayerSchema) -> int:
    """Return the SRID of stored geometries, 0 when PostGIS has none for the CRS."""
    number = srs_id(schema.crs) if schema.geometry_type is not None else 0
    return 0 if number == CUSTOM_SRS else number


def create_stage(name: str, schema: LayerSchema) -> str:
    """Return the SQL that creates a staging table."""
    fields = "".join(f", c{i} {SQL_TYPES[f.type]}" for i, f in enumerate(schema.fields))
    order = f"CREATE INDEX ON layers_stage.{name} ((id::bigint), id);" if schema.integer_ids else ""
    return (
        f'CREATE TABLE layers_stage.{name} (id text COLLATE "C" NOT NULL UNIQUE, page text NOT NULL, '
        "hash bytea NOT NULL, w float8, s float8, e float8, n float8"
        f"{fields}, properties bytea, geom bytea, geojson bytea); {order} "
        f"ALTER TABLE layers_stage.{name} ALTER COLUMN geojson SET STORAGE EXTERNAL, "
        "ALTER COLUMN geom SET STORAGE EXTERNAL"
    )


def order_of(schema: LayerSchema) -> str:
    """Return the ORDER BY of id order in staging."""
    return "id::bigint, id" if schema.integer_ids else "id"


def build(name: str, stage: str, schema: LayerSchema, indexed: list[str]) -> list[str]:
    """Return the statements that make a version's tables from a staging table."""
    columns, table, texts = columns_of(schema), f"layers.{quote(name)}", f"layers_texts.{quote(name)}"
    body, ours, theirs = (
        [f"{FID} bigint PRIMARY KEY"],
        [FID],
        [f"row_number() OVER (ORDER BY {order_of(schema)})"],
    )
    if schema.geometry_type is not None:
        number, kind = srid(schema), type_name(schema.geometry_type)
        body.append(f"{GEOM} geometry({kind}, {number})")
        ours.append(GEOM)
        theirs.append(f"ST_GeomFromWKB(geom, {number})")
    body.append(f'{ID} text COLLATE "C" NOT NULL')
    body += [f"{quote(columns[f.name])} {SQL_TYPES[f.type]}" for f in schema.fields]
    ours += [ID, *(quote(columns[f.name]) for f in schema.fields)]
    theirs += ["id", *(f"c{i}" for i in range(len(schema.fields)))]
    statements = [
        f"CREATE TABLE {table} ({', '.join(body)})",
        f"INSERT INTO {table} ({', '.join(ours)}) SELECT {', '.join(theirs)} FROM layers_stage.{stage}",
        f"CREATE UNIQUE INDEX ON {table} ({ID})",
        *(f"CREATE INDEX ON {table} ({quote(columns[field])})" for field in indexed),
        f"CREATE TABLE {texts} ({FID} bigint PRIMARY KEY, head bytea NOT NULL, hash bytea NOT NULL, "
        "properties bytea NOT NULL, geojson bytea NOT NULL)",
        f"ALTER TABLE {texts} ALTER COLUMN properties SET STORAGE EXTERNAL, "
        "ALTER COLUMN geojson SET STORAGE EXTERNAL",
    ]
    if schema.geometry_type is not None:
        statements.append(f"CREATE INDEX ON {table} USING gist ({GEOM})")
    return statements


def fill_texts(name: str, stage: str, schema: LayerSchema) -> str:
    """Return the statement that copies the texts; the head is made as in `layers.texts.head`."""
    shown = "id" if schema.integer_ids else "to_json(id)::text"
    head = f'convert_to(\'{{"type":"Feature","id":\' || {shown} || \',"geometry":\', \'UTF8\')'
    return (
        f"INSERT INTO layers_texts.{quote(name)} SELECT row_number() OVER (ORDER BY {order_of(schema)}), "
        f"{head}, hash, properties, geojson FROM layers_stage.{stage}"
    )
