"""Writing features: GeoJSON by splicing ready texts, JSON-LD by an inline context, CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

import orjson
import shapely

from catalog.model import LayerSchema
from layers.spreadsheet import cell
from ogc_server.answer import to_json

REVISION = 1
"""Part of every ETag: raise it when the same data is written differently."""

CSV_MEDIA = "text/csv; charset=utf-8; header=present"


def feature_collection(features: Sequence[bytes], matched: int, links: Sequence[dict[str, Any]]) -> bytes:
    """Return a FeatureCollection around ready Feature texts."""
    return b"".join(
        (
            b'{"type":"FeatureCollection","numberMatched":%d,"numberReturned":%d,"links":'
            % (matched, len(features)),
            to_json(links),
            b',"features":[',
            b",".join(features),
            b"]}",
        )
    )


def json_ld(geojson: bytes, base: str) -> bytes:
    """Return GeoJSON-LD: the same text with a context in front, which needs nothing from elsewhere."""
    context = {
        "@version": 1.1,
        "@base": base,
        "@vocab": "https://purl.org/geojson/vocab#",
        "id": "@id",
        "type": "@type",
        "properties": {"@id": "https://schema.org/additionalProperty", "@context": {"@vocab": base + "#"}},
        "features": {"@container": "@set"},
        "coordinates": {"@id": "https://purl.org/geojson/vocab#coordinates", "@type": "@json"},
        "links": {"@id": "https://schema.org/url", "@type": "@json"},
    }
    return b'{"@context":' + to_json(context) + b"," + geojson[1:]


def csv_text(schema: LayerSchema, features: Sequence[bytes], properties: Sequence[str] | None) -> bytes:
    """Return CSV (RFC 4180, UTF-8) with id, the attributes and, unless a table, the geometry as WKT.

    The columns are those of the schema, also of an empty page. A text that a spreadsheet would run
    as a formula gets a leading apostrophe.
    """
    names = list(properties if properties is not None else schema.names())
    spatial = schema.geometry_type is not None
    target = io.StringIO()
    writer = csv.writer(target)
    writer.writerow(["id", *names, *(["geometry_wkt"] if spatial else [])])
    for raw in features:
        feature = orjson.loads(raw)
        row = [feature["id"], *(cell(feature["properties"].get(name)) for name in names)]
        if spatial:
            row.append(_wkt(feature["geometry"]))
        writer.writerow(row)
    return target.getvalue().encode()


def _wkt(geometry: dict[str, Any] | None) -> str:
    if geometry is None:
        return ""
    return str(shapely.to_wkt(shapely.from_geojson(orjson.dumps(geometry)), rounding_precision=7, trim=True))
