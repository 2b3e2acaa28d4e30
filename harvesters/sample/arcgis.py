"""The ArcGIS REST grammar that the sample server speaks, over layers held ready as Esri JSON."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fiona
import orjson
import shapely
from shapely.geometry import shape
from shapely.geometry.polygon import orient

OID = "OBJECTID"
_EPOCH = 1767225600000
_SR = {"wkid": 4326, "latestWkid": 4326}
_TYPES = {"str": "esriFieldTypeString", "int": "esriFieldTypeInteger", "float": "esriFieldTypeDouble"}
_GEOMETRY = {"Polygon": "esriGeometryPolygon", "Point": "esriGeometryPoint"}
_TERM = re.compile(
    r"\s*(?P<field>\w+)\s*(?:(?P<op><=|>=|<>|=|<|>)\s*(?P<value>-?\d+(?:\.\d+)?|'(?:[^']|'')*')"
    r"|in\s*\((?P<list>[^()]*)\))\s*",
    re.IGNORECASE,
)
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda a, b: bool(a == b), "<>": lambda a, b: bool(a != b), "<": lambda a, b: bool(a < b),
    ">": lambda a, b: bool(a > b), "<=": lambda a, b: bool(a <= b), ">=": lambda a, b: bool(a >= b),
}  # fmt: skip
type Row = dict[str, Any]
type Test = Callable[[Row], bool]


class ArcgisError(Exception):
    """What ArcGIS says inside HTTP 200."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code

    def body(self) -> dict[str, Any]:
        """Return the error as ArcGIS words it."""
        return {"error": {"code": self.code, "message": str(self), "details": []}}


@dataclass(slots=True)
class Layer:
    """One layer: attribute rows and geometries (EPSG:4326) by object id, ascending."""

    number: int
    name: str
    page: int
    fields: list[dict[str, Any]]
    rows: dict[int, Row]
    shapes: dict[int, shapely.Geometry]
    edited: int = 0
    """Stands for the edit date in epoch milliseconds: another content, another date."""
    encoded: dict[int, bytes] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path, name: str, number: int, page: int) -> Layer:
        """Read a layer of a GeoPackage. Object ids have gaps, as real ones do."""
        rows: dict[int, Row] = {}
        shapes: dict[int, shapely.Geometry] = {}
        with fiona.open(path, layer=name) as source:
            types = {key: str(value).split(":")[0] for key, value in source.schema["properties"].items()}
            for position, feature in enumerate(source):
                oid = position + 1 + 3 * (position // 20)
                rows[oid] = {OID: oid, **feature["properties"]}
                shapes[oid] = shape(feature["geometry"])
        fields: list[dict[str, Any]] = [_field(OID, "esriFieldTypeOID")]
        fields += [_field(key, _TYPES.get(kind, "esriFieldTypeString")) for key, kind in types.items()]
        edited = _EPOCH + zlib.crc32(path.read_bytes()) % 10**9
        return cls(number, f"BATAS_{name.upper()}_CONTOH", page, fields, rows, shapes, edited)

    def bounds(self) -> dict[str, Any]:
        """Return the Esri extent."""
        xmin, ymin, xmax, ymax = shapely.total_bounds(list(self.shapes.values())).tolist()
        return {"xmin": xmin, "ymin": ymin, "xmax": xmax, "ymax": ymax, "spatialReference": _SR}

    def rings(self, oid: int) -> bytes:
        """Return the Esri JSON geometry (outer rings clockwise, holes the other way), kept ready."""
        if oid not in self.encoded:
            polygons = [orient(part, -1.0) for part in shapely.get_parts(self.shapes[oid])]
            rings = [r for p in polygons for r in (p.exterior, *p.interiors)]
            self.encoded[oid] = orjson.dumps({"rings": [[list(c) for c in ring.coords] for ring in rings]})
        return self.encoded[oid]


def _field(name: str, kind: str) -> dict[str, Any]:
    described: dict[str, Any] = {"name": name, "type": kind, "alias": name, "domain": None}
    return {**described, "length": 250} if kind == "esriFieldTypeString" else described


def describe(layer: Layer, version: float) -> dict[str, Any]:
    """Return the layer's JSON."""
    return {
        "currentVersion": version, "id": layer.number, "name": layer.name, "type": "Feature Layer",
        "description": "Contoh sintetis, bukan wilayah nyata", "copyrightText": "Contoh sintetis",
        "geometryType": "esriGeometryPolygon", "hasZ": False, "hasM": False, "extent": layer.bounds(),
        "displayField": "NAMOBJ", "objectIdField": OID, "fields": layer.fields, "capabilities": "Query",
        "maxRecordCount": layer.page, "supportedQueryFormats": "JSON, geoJSON",
        "editingInfo": {"lastEditDate": layer.edited},
        "advancedQueryCapabilities": {
            "supportsPagination": True, "supportsOrderBy": True, "supportsStatistics": False,
            "supportsDistinct": False, "supportsReturningQueryExtent": False,
        },
    }  # fmt: skip


def answer(layer: Layer, params: Mapping[str, str]) -> bytes:
    """Answer a `query` request; raise ArcgisError for what it can not understand."""
    if params.get("f", "json") not in {"json", "pjson", "geojson"}:
        raise ArcgisError(400, "Invalid or missing input parameters.")
    chosen = _choose(layer, params)
    if _yes(params, "returnCountOnly"):
        return orjson.dumps({"count": len(chosen)})
    if _yes(params, "returnIdsOnly"):
        return orjson.dumps({"objectIdFieldName": OID, "objectIds": chosen})
    start = _number(params, "resultOffset", 0)
    size = min(layer.page, _number(params, "resultRecordCount", layer.page))
    page = chosen[start : start + size]
    more = start + size < len(chosen)
    geojson = params.get("f") == "geojson"
    return _collection(layer, page, params, more) if geojson else _featureset(layer, page, params, more)


def _choose(layer: Layer, params: Mapping[str, str]) -> list[int]:
    test = _where(layer, params.get("where", "1=1") or "1=1")
    wanted = params.get("objectIds", "")
    try:
        ids = sorted({int(part) for part in wanted.split(",")}) if wanted else list(layer.rows)
    except ValueError as error:
        raise ArcgisError(400, "'objectIds' parameter is invalid") from error
    found = [oid for oid in ids if oid in layer.rows and test(layer.rows[oid])]
    order = params.get("orderByFields", "").strip()
    if order:
        name, _, direction = order.partition(" ")
        _known(layer, name)
        found.sort(key=lambda oid: (layer.rows[oid][name] is None, layer.rows[oid][name], oid))
        if direction.strip().upper() == "DESC":
            found.reverse()
    return found


def _where(layer: Layer, where: str) -> Test:
    terms = re.split(r"\s+and\s+", _bare(where), flags=re.IGNORECASE)
    tests = [_term(layer, _bare(term)) for term in terms]
    return lambda row: all(test(row) for test in tests)


def _bare(text: str) -> str:
    """Return the text without brackets that enclose the whole of it."""
    text = text.strip()
    while text.startswith("(") and _closing(text) == len(text) - 1:
        text = text[1:-1].strip()
    return text


def _closing(text: str) -> int:
    """Return where the first bracket closes (-1: nowhere)."""
    depth = 0
    for at, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if depth == 0:
            return at
    return -1


def _term(layer: Layer, text: str) -> Test:
    if re.fullmatch(r"1\s*=\s*1", text):
        return lambda _: True
    match = _TERM.fullmatch(text)
    if match is None:
        raise ArcgisError(400, "Unable to complete operation. 'where' clause is invalid")
    name = _known(layer, match["field"])
    if match["list"] is not None:
        values = {_literal(part.strip()) for part in match["list"].split(",")}
        return lambda row: row[name] in values
    compare, value = _COMPARE[match["op"]], _literal(match["value"])
    return lambda row: _holds(compare, row[name], value)


def _holds(compare: Callable[[Any, Any], bool], value: Any, wanted: str | float) -> bool:
    if value is None or isinstance(value, str) != isinstance(wanted, str):
        return False
    return compare(value, wanted)


def _literal(text: str) -> str | float:
    if text.startswith("'"):
        return text[1:-1].replace("''", "'")
    try:
        return float(text)
    except ValueError as error:
        raise ArcgisError(400, "Unable to complete operation. 'where' clause is invalid") from error


def _known(layer: Layer, name: str) -> str:
    for item in layer.fields:
        if item["name"].lower() == name.lower():
            return str(item["name"])
    raise ArcgisError(400, f"Invalid field: {name}")


def _out_fields(layer: Layer, params: Mapping[str, str]) -> list[str]:
    asked = params.get("outFields", "") or OID
    return (
        [f["name"] for f in layer.fields]
        if "*" in asked
        else [_known(layer, n.strip()) for n in asked.split(",")]
    )


def _featureset(layer: Layer, page: list[int], params: Mapping[str, str], more: bool) -> bytes:
    _check_sr(params)
    names, geometry = _out_fields(layer, params), _yes(params, "returnGeometry", "true")
    head = {
        "objectIdFieldName": OID, "globalIdFieldName": "", "geometryType": "esriGeometryPolygon",
        "spatialReference": _SR, "fields": [f for f in layer.fields if f["name"] in names],
    }  # fmt: skip
    parts = []
    for oid in page:
        attributes = b'{"attributes":' + orjson.dumps({name: layer.rows[oid][name] for name in names})
        parts.append(attributes + (b',"geometry":' + layer.rings(oid) if geometry else b"") + b"}")
    tail = b',"exceededTransferLimit":true' if more else b""
    return orjson.dumps(head)[:-1] + tail + b',"features":[' + b",".join(parts) + b"]}"


def _collection(layer: Layer, page: list[int], params: Mapping[str, str], more: bool) -> bytes:
    _check_sr(params)
    names, geometry = _out_fields(layer, params), _yes(params, "returnGeometry", "true")
    features = [
        {
            "type": "Feature",
            "id": oid,
            "geometry": shapely.geometry.mapping(layer.shapes[oid]) if geometry else None,
            "properties": {name: layer.rows[oid][name] for name in names},
        }
        for oid in page
    ]
    body: dict[str, Any] = {"type": "FeatureCollection", "features": features}
    if more:
        body["properties"] = {"exceededTransferLimit": True}
    return orjson.dumps(body)


def _check_sr(params: Mapping[str, str]) -> None:
    asked = params.get("outSR", "") or "4326"
    wkid = str(orjson.loads(asked).get("wkid")) if asked.startswith("{") else asked.removeprefix("EPSG:")
    if wkid != "4326":
        raise ArcgisError(400, "'outSR' parameter is invalid: this sample speaks 4326 alone")


def _yes(params: Mapping[str, str], name: str, default: str = "false") -> bool:
    return params.get(name, default).lower() == "true"


def _number(params: Mapping[str, str], name: str, default: int) -> int:
    text = params.get(name, "") or str(default)
    if not text.isdecimal():
        raise ArcgisError(400, f"'{name}' parameter is invalid")
    return int(text)
