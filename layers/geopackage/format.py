"""The GeoPackage file format (OGC 12-128r18, version 1.3): tables, headers, R-tree extension."""

from __future__ import annotations

import sqlite3
import struct

from pydantic import TypeAdapter

from catalog.errors import PublishError
from catalog.model import FieldType, LayerSchema
from layers.columns import FID, GEOM, ID, quote
from layers.crs import crs_of, epsg
from layers.geometry import type_id, type_name

APPLICATION_ID = 0x47504B47
USER_VERSION = 10300
SQL_TYPES: dict[FieldType, str] = {
    FieldType.TEXT: "TEXT", FieldType.INTEGER: "INTEGER", FieldType.REAL: "REAL",
    FieldType.BOOLEAN: "BOOLEAN", FieldType.DATE: "DATE", FieldType.DATETIME: "DATETIME",
}  # fmt: skip
SCHEMA_URI = "urn:satudata:layer-schema:1"
SCHEMA = TypeAdapter(LayerSchema)
CUSTOM_SRS = 100_000
"""srs_id for a CRS without an EPSG number (CRS84 is given that of EPSG:4326: same x, y)."""

_CORE = """
CREATE TABLE gpkg_spatial_ref_sys (srs_name TEXT NOT NULL, srs_id INTEGER NOT NULL PRIMARY KEY,
  organization TEXT NOT NULL, organization_coordsys_id INTEGER NOT NULL, definition TEXT NOT NULL, description TEXT);
CREATE TABLE gpkg_contents (table_name TEXT NOT NULL PRIMARY KEY, data_type TEXT NOT NULL, identifier TEXT UNIQUE,
  description TEXT DEFAULT '', last_change DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')),
  min_x DOUBLE, min_y DOUBLE, max_x DOUBLE, max_y DOUBLE, srs_id INTEGER,
  CONSTRAINT fk_gc_r_srs_id FOREIGN KEY (srs_id) REFERENCES gpkg_spatial_ref_sys(srs_id));
CREATE TABLE gpkg_geometry_columns (table_name TEXT NOT NULL, column_name TEXT NOT NULL, geometry_type_name TEXT NOT NULL,
  srs_id INTEGER NOT NULL, z TINYINT NOT NULL, m TINYINT NOT NULL,
  CONSTRAINT pk_geom_cols PRIMARY KEY (table_name, column_name), CONSTRAINT uk_gc_table_name UNIQUE (table_name),
  CONSTRAINT fk_gc_tn FOREIGN KEY (table_name) REFERENCES gpkg_contents(table_name),
  CONSTRAINT fk_gc_srs FOREIGN KEY (srs_id) REFERENCES gpkg_spatial_ref_sys (srs_id));
"""  # noqa: E501
_EXTENSIONS = """
CREATE TABLE IF NOT EXISTS gpkg_extensions (table_name TEXT, column_name TEXT,
  extension_name TEXT NOT NULL, definition TEXT NOT NULL, scope TEXT NOT NULL,
  CONSTRAINT ge_tce UNIQUE (table_name, column_name, extension_name));
"""
_METADATA = """
CREATE TABLE gpkg_metadata (id INTEGER CONSTRAINT m_pk PRIMARY KEY ASC NOT NULL, md_scope TEXT NOT NULL DEFAULT 'dataset',
  md_standard_uri TEXT NOT NULL, mime_type TEXT NOT NULL DEFAULT 'text/xml', metadata TEXT NOT NULL DEFAULT '');
CREATE TABLE gpkg_metadata_reference (reference_scope TEXT NOT NULL, table_name TEXT, column_name TEXT,
  row_id_value INTEGER, timestamp DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')),
  md_file_id INTEGER NOT NULL, md_parent_id INTEGER, CONSTRAINT crmr_mfi_fk FOREIGN KEY (md_file_id) REFERENCES gpkg_metadata(id),
  CONSTRAINT crmr_mpi_fk FOREIGN KEY (md_parent_id) REFERENCES gpkg_metadata(id));
"""  # noqa: E501
_STYLES = """
CREATE TABLE IF NOT EXISTS layer_styles (id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, f_table_catalog TEXT(256),
  f_table_schema TEXT(256), f_table_name TEXT(256), f_geometry_column TEXT(256), styleName TEXT(30), styleQML TEXT,
  styleSLD TEXT, useAsDefault BOOLEAN, description TEXT, owner TEXT(30), ui TEXT(30),
  update_time DATETIME DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')))
"""  # noqa: E501
_UNDEFINED = [
    (
        "Undefined cartesian SRS",
        -1,
        "NONE",
        -1,
        "undefined",
        "undefined cartesian coordinate reference system",
    ),
    (
        "Undefined geographic SRS",
        0,
        "NONE",
        0,
        "undefined",
        "undefined geographic coordinate reference system",
    ),
]


def srs_id(code: str) -> int:
    """Return the srs_id under which geometries in this CRS are stored."""
    if code.upper() in ("OGC:CRS84", "CRS84"):
        return 4326
    return epsg(code) or CUSTOM_SRS


def header(srs: int, bounds: tuple[float, float, float, float], point: bool) -> bytes:
    """Return the GeoPackage header that stands before the WKB; points carry no envelope."""
    start = struct.pack("<2sBBi", b"GP", 0, 0x01 if point else 0x03, srs)
    if point:
        return start
    west, south, east, north = bounds
    return start + struct.pack("<4d", west, east, south, north)


def wkb_of(blob: bytes) -> bytes:
    """Return the WKB of a geometry that we wrote (envelope: none or xy)."""
    return blob[40:] if blob[3] & 0x0E else blob[8:]


def create_core(db: sqlite3.Connection, schema: LayerSchema) -> None:
    """Create the tables that every GeoPackage has, with the CRS that this layer needs."""
    db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    db.execute(f"PRAGMA user_version = {USER_VERSION}")
    db.executescript(_CORE + _EXTENSIONS)
    rows = [*_UNDEFINED, _srs_row("EPSG:4326")]
    if schema.geometry_type is not None and srs_id(schema.crs) != 4326:
        rows.append(_srs_row(schema.crs))
    db.executemany("INSERT INTO gpkg_spatial_ref_sys VALUES (?,?,?,?,?,?)", rows)


def _srs_row(code: str) -> tuple[str, int, str, int, str, str]:
    crs, number = crs_of(code), srs_id(code)
    organisation = "EPSG" if number != CUSTOM_SRS else "NONE"
    return (crs.name, number, organisation, number, crs.to_wkt("WKT1_GDAL"), "")


def create_layer(db: sqlite3.Connection, table: str, schema: LayerSchema, columns: dict[str, str]) -> None:
    """Create the feature (or attribute) table and tell GeoPackage readers of it."""
    body = [f"{quote(FID)} INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL"]
    spatial = schema.geometry_type is not None
    if spatial:
        body.append(f"{quote(GEOM)} {type_name(str(schema.geometry_type)).upper()}")
    body.append(f"{quote(ID)} TEXT NOT NULL")
    body += [f"{quote(columns[f.name])} {SQL_TYPES[f.type]}" for f in schema.fields]
    db.execute(f"CREATE TABLE {quote(table)} ({', '.join(body)})")
    srs = srs_id(schema.crs) if spatial else None
    kind = "features" if spatial else "attributes"
    db.execute(
        "INSERT INTO gpkg_contents (table_name, data_type, identifier, srs_id) VALUES (?,?,?,?)",
        (table, kind, table, srs),
    )
    if spatial:
        name = type_name(str(schema.geometry_type)).upper()
        db.execute("INSERT INTO gpkg_geometry_columns VALUES (?,?,?,?,0,0)", (table, GEOM, name, srs))


def put_schema(db: sqlite3.Connection, table: str, schema: LayerSchema) -> None:
    """Keep our own schema in the file (metadata extension), so that a version explains itself."""
    db.executescript(_METADATA)
    ours = (SCHEMA_URI, SCHEMA.dump_json(schema).decode())
    db.execute("INSERT INTO gpkg_metadata VALUES (1,'schema',?,'application/json',?)", ours)
    db.execute(
        "INSERT INTO gpkg_metadata_reference (reference_scope, table_name, md_file_id) VALUES ('table',?,1)",
        (table,),
    )
    _register_metadata(db)


def put_iso(db: sqlite3.Connection, iso: bytes, table: str | None = None) -> None:
    """Add an ISO 19139 record, of the whole file or of one layer, to a GeoPackage made by GDAL."""
    if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'gpkg_metadata'").fetchone():
        db.executescript(_EXTENSIONS + _METADATA)
        _register_metadata(db)
    db.execute(
        "INSERT INTO gpkg_metadata (md_scope, md_standard_uri, mime_type, metadata) "
        "VALUES ('dataset','http://www.isotc211.org/2005/gmd','text/xml',?)",
        (iso.decode(),),
    )
    db.execute(
        "INSERT INTO gpkg_metadata_reference (reference_scope, table_name, md_file_id) "
        "VALUES (?,?,last_insert_rowid())",
        ("geopackage" if table is None else "table", table),
    )


def put_style(
    db: sqlite3.Connection, table: str, name: str, qml: str, sld: str, *, default: bool = True
) -> None:
    """Keep a style where QGIS looks for those of a layer (`layer_styles`); it draws in the `default` one."""
    db.execute(_STYLES)
    known = ("layer_styles", "attributes", "layer_styles")
    db.execute(
        "INSERT OR IGNORE INTO gpkg_contents (table_name, data_type, identifier) VALUES (?,?,?)", known
    )
    db.execute(
        "INSERT INTO layer_styles (f_table_catalog, f_table_schema, f_table_name, f_geometry_column, "
        "styleName, styleQML, styleSLD, useAsDefault, description, owner) "
        "VALUES ('','',?,?,?,?,?,?,'','')",
        (table, GEOM, name, qml, sld, int(default)),
    )


def _register_metadata(db: sqlite3.Connection) -> None:
    known = [("gpkg_metadata",), ("gpkg_metadata_reference",)]
    db.executemany(
        "INSERT INTO gpkg_extensions VALUES (?,NULL,'gpkg_metadata',"
        "'http://www.geopackage.org/spec130/#extension_metadata','read-write')",
        known,
    )


def get_schema(db: sqlite3.Connection) -> LayerSchema:
    """Return the schema that `put_schema` kept; PublishError when there is none."""
    row = db.execute("SELECT metadata FROM gpkg_metadata WHERE md_standard_uri = ?", (SCHEMA_URI,)).fetchone()
    if row is None:
        raise PublishError("the GeoPackage does not hold its schema: it was not written by us")
    return SCHEMA.validate_json(row[0])


def set_bounds(db: sqlite3.Connection, table: str, bounds: tuple[float, float, float, float] | None) -> None:
    """Record the layer's extent in its stored CRS."""
    box = bounds or (None, None, None, None)
    db.execute(
        "UPDATE gpkg_contents SET min_x=?, min_y=?, max_x=?, max_y=? WHERE table_name=?", (*box, table)
    )


def create_rtree(db: sqlite3.Connection, table: str) -> None:
    """Create the (still empty) spatial index and register the extension."""
    db.execute(f"CREATE VIRTUAL TABLE {quote(rtree(table))} USING rtree(id, minx, maxx, miny, maxy)")
    db.execute(
        "INSERT INTO gpkg_extensions VALUES (?,?,'gpkg_rtree_index',"
        "'http://www.geopackage.org/spec120/#extension_rtree','write-only')",
        (table, GEOM),
    )


def create_rtree_triggers(db: sqlite3.Connection, table: str) -> None:
    """Create the triggers the extension asks for, so that a copy of the file can be edited in QGIS."""
    name, tree, geom, fid = rtree(table), quote(rtree(table)), quote(GEOM), quote(FID)

    def box(row: str) -> str:
        return ", ".join(f"ST_{edge}({row}.{geom})" for edge in ("MinX", "MaxX", "MinY", "MaxY"))

    def trigger(suffix: str, event: str, when: str, body: str) -> None:
        db.execute(
            f"CREATE TRIGGER {quote(f'{name}_{suffix}')} AFTER {event} ON {quote(table)} "
            f"WHEN {when} BEGIN {body}; END"
        )

    full = f"NEW.{geom} NOTNULL AND NOT ST_IsEmpty(NEW.{geom})"
    empty = f"(NEW.{geom} ISNULL OR ST_IsEmpty(NEW.{geom}))"
    put = f"INSERT OR REPLACE INTO {tree} VALUES (NEW.{fid}, {box('NEW')})"
    drop = f"DELETE FROM {tree} WHERE id = OLD.{fid}"
    same, other = f"OLD.{fid} = NEW.{fid}", f"OLD.{fid} != NEW.{fid}"
    had = f"OLD.{geom} NOTNULL AND NOT ST_IsEmpty(OLD.{geom})"
    trigger("insert", "INSERT", full, put)
    trigger("update6", f"UPDATE OF {geom}", f"{same} AND ({full}) AND ({had})",
            f"UPDATE {tree} SET minx=ST_MinX(NEW.{geom}), maxx=ST_MaxX(NEW.{geom}), "
            f"miny=ST_MinY(NEW.{geom}), maxy=ST_MaxY(NEW.{geom}) WHERE id = NEW.{fid}")  # fmt: skip
    trigger("update7", f"UPDATE OF {geom}", f"{same} AND ({full}) AND NOT ({had})",
            f"INSERT INTO {tree} VALUES (NEW.{fid}, {box('NEW')})")  # fmt: skip
    trigger("update2", f"UPDATE OF {geom}", f"{same} AND {empty}", drop)
    trigger("update5", "UPDATE", f"{other} AND {full}", f"{drop}; {put}")
    trigger(
        "update4", "UPDATE", f"{other} AND {empty}", f"DELETE FROM {tree} WHERE id IN (OLD.{fid}, NEW.{fid})"
    )
    trigger("delete", "DELETE", f"OLD.{geom} NOT NULL", drop)


def rtree(table: str) -> str:
    """Return the name of a layer's spatial index."""
    return f"rtree_{table}_{GEOM}"


def is_point(schema: LayerSchema) -> bool:
    """Tell whether the layer holds single points only."""
    return schema.geometry_type is not None and type_id(schema.geometry_type) == 0
