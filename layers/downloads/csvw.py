"""What a CSV can not say of itself: its columns, types, licence and origin, as CSV on the Web (W3C, 2015).

The document stands beside the CSV as `{file}-metadata.json`, where readers of CSVW look for it first
(Metadata Vocabulary for Tabular Data, "Locating Metadata").
"""

from __future__ import annotations

import json
from typing import Any

from catalog.model import FieldDef, FieldType, LayerSchema
from layers.arrow import ID, names_of
from layers.downloads.about import About

MEDIA = "application/csvm+json"
SUFFIX = "-metadata.json"
GEOMETRY = "geometry_wkt"
_TYPES: dict[FieldType, Any] = {
    FieldType.TEXT: "string",
    FieldType.INTEGER: "integer",
    FieldType.REAL: "number",
    FieldType.BOOLEAN: "boolean",
    FieldType.DATE: "date",
    FieldType.DATETIME: "datetime",
}
_WKT = "http://www.opengis.net/ont/geosparql#wktLiteral"


def csvw(about: About, schema: LayerSchema, url: str) -> bytes:
    """Return the metadata document of a CSV of ours; `url` is the CSV's, absolute or beside it."""
    texts = about.texts
    licence = texts.get("license", "")
    said = {
        "@context": ["http://www.w3.org/ns/csvw", {"@language": "id"}],
        "url": url,
        "dc:title": about.title,
        "dc:description": about.description,
        "dc:license": {"@id": licence} if licence.startswith(("http://", "https://")) else licence,
        "dc:creator": texts.get("produsen_data"),
        "dc:publisher": texts.get("walidata"),
        "dc:identifier": about.dataset,
        "dc:created": texts.get("created"),
        "dc:coverage": texts.get("part"),
        "schema:version": texts.get("version"),
        "tableSchema": {"columns": _columns(schema), "primaryKey": ID},
    }
    kept = {name: value for name, value in said.items() if value not in (None, "")}
    return json.dumps(kept, ensure_ascii=False, indent=1).encode()


def _columns(schema: LayerSchema) -> list[dict[str, Any]]:
    names = names_of(schema)
    columns: list[dict[str, Any]] = [{"name": ID, "titles": ID, "datatype": "string", "required": True}]
    columns += [_column(one, names[one.name]) for one in schema.fields]
    if schema.geometry_type is not None:
        columns.append(
            {"name": GEOMETRY, "titles": GEOMETRY, "datatype": {"@id": _WKT, "base": "string"},
             "dc:description": "WKT, OGC:CRS84"}
        )  # fmt: skip
    return columns


def _column(one: FieldDef, name: str) -> dict[str, Any]:
    made = {
        "titles": name,
        "datatype": _TYPES[one.type],
        "dc:title": one.title,
        "dc:description": one.description,
    }
    if one.unit:
        made["schema:unitText"] = one.unit
    return {key: value for key, value in made.items() if value}
