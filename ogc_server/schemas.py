"""Schema, queryables and sortables of a collection (Features Part 3 and Part 5).

pygeoapi's documents, put right: the https `$schema` that the standard asks for, the geometry's own
type, the feature id, and no attribute whose name is taken by a parameter among the sortables.
"""

from __future__ import annotations

from typing import Any

from catalog.datasets import Dataset
from catalog.messages import text
from catalog.model import LayerSchema, VersionInfo
from ogc_server.answer import Answer
from ogc_server.ask import Ask, segment
from ogc_server.coverages import schema_properties
from ogc_server.negotiation import HTML_OFFER, SCHEMA_OFFER
from ogc_server.provider import json_schema
from ogc_server.records import RECORD_QUERYABLES, RECORD_SORTABLES
from ogc_server.service import Service, document
from ogc_server.snapshot import CATALOG_ID, COLLECTIONS, Snapshot

OFFERS = (SCHEMA_OFFER, HTML_OFFER)
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema(service: Service, snapshot: Snapshot, ask: Ask) -> Answer:
    """Answer `/collections/{id}/schema`."""
    (collection_id,) = ask.arguments
    if collection_id == CATALOG_ID:
        return _answer(ask, "schema", text("catalog.title", ask.lang), dict(RECORD_QUERYABLES))
    dataset, info = snapshot.layer(collection_id, ask.values.get("version"), COLLECTIONS)
    if dataset.kind == "raster":
        title = _title(ask, dataset)
        return _answer(ask, "schema", title, schema_properties(info, title), info)
    made = service.api(ask, snapshot).schema(ask, dataset, info)
    layer = info.schema or LayerSchema(())
    properties: dict[str, Any] = {}
    if "id" not in layer.names():
        kind = "integer" if layer.integer_ids else "string"
        properties["id"] = {"type": kind, "x-ogc-role": "id", "readOnly": True}
    properties |= _properties(ask, layer, made["properties"])
    for number, described in enumerate(properties.values(), 1):
        described["x-ogc-propertySeq"] = number
    if "id" in layer.names():
        properties["id"]["x-ogc-role"] = "id"
    return _answer(ask, "schema", _title(ask, dataset), properties, info)


def queryables(service: Service, snapshot: Snapshot, ask: Ask) -> Answer:
    """Answer `/collections/{id}/queryables`."""
    (collection_id,) = ask.arguments
    if collection_id == CATALOG_ID:
        return _answer(ask, "queryables", text("catalog.title", ask.lang), dict(RECORD_QUERYABLES))
    dataset, info = snapshot.layer(collection_id, ask.values.get("version"))
    made = service.api(ask, snapshot).queryables(ask, dataset, info)
    properties = _properties(ask, info.schema or LayerSchema(()), made["properties"])
    return _answer(ask, "queryables", _title(ask, dataset), properties, info)


def sortables(service: Service, snapshot: Snapshot, ask: Ask) -> Answer:
    """Answer `/collections/{id}/sortables`, which pygeoapi has not."""
    (collection_id,) = ask.arguments
    if collection_id == CATALOG_ID:
        return _answer(ask, "sortables", text("catalog.title", ask.lang), dict(RECORD_SORTABLES))
    dataset, info = snapshot.layer(collection_id, ask.values.get("version"))
    layer = info.schema or LayerSchema(())
    properties = {field.name: json_schema(field) for field in layer.fields}
    return _answer(ask, "sortables", _title(ask, dataset), properties, info)


def _properties(ask: Ask, layer: LayerSchema, made: dict[str, Any]) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    if layer.geometry_type is not None:
        kind = "any" if layer.geometry_type == "Geometry" else layer.geometry_type.lower()
        properties["geometry"] = {
            "title": text("geometry.title", ask.lang),
            "format": f"geometry-{kind}",
            "x-ogc-role": "primary-geometry",
        }
    for field in layer.fields:
        properties[field.name] = {**made.get(field.name, {}), **json_schema(field)}
        if field.name == layer.time_field:
            properties[field.name]["x-ogc-role"] = "primary-instant"
    return properties


def _title(ask: Ask, dataset: Dataset) -> str:
    return dataset.record.title.get(ask.lang) or dataset.id


def _answer(
    ask: Ask, what: str, title: str, properties: dict[str, Any], info: VersionInfo | None = None
) -> Answer:
    (collection_id,) = ask.arguments
    doc = {
        "$schema": DIALECT,
        "$id": ask.href(
            f"/collections/{segment(collection_id)}/{what}", {"version": ask.values.get("version")}
        ),
        "type": "object",
        "title": title,
        "x-ogc-collectionId": collection_id,
        "properties": properties,
        "additionalProperties": False,
    }
    return document(ask, doc, "schema.html", {"what": what, "title": title, "collection_id": collection_id})
