"""The shape of a feature type, from DescribeFeatureType or from sample features.

owslib's `get_schema` finds no property in MapServer's schema, so the XSD is read here, by local
names.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from typing import Any

from catalog.metadata.xmlsafe import Element, attribute, every, first
from catalog.model import FieldDef, FieldType

_TYPES = {
    **dict.fromkeys(
        ("integer", "int", "long", "short", "byte", "nonNegativeInteger", "positiveInteger",
         "negativeInteger", "nonPositiveInteger", "unsignedInt", "unsignedLong", "unsignedShort",
         "unsignedByte"), FieldType.INTEGER),
    **dict.fromkeys(("decimal", "double", "float"), FieldType.REAL),
    "boolean": FieldType.BOOLEAN, "date": FieldType.DATE, "dateTime": FieldType.DATETIME,
}  # fmt: skip
_GEOMETRIES = {
    "Point": "Point", "MultiPoint": "MultiPoint", "LineString": "MultiLineString", "Curve": "MultiLineString",
    "MultiLineString": "MultiLineString", "MultiCurve": "MultiLineString", "Polygon": "MultiPolygon",
    "Surface": "MultiPolygon", "MultiPolygon": "MultiPolygon", "MultiSurface": "MultiPolygon",
    "Geometry": "Geometry", "MultiGeometry": "Geometry", "GeometryAssociation": "Geometry",
    "_Geometry": "Geometry", "AbstractGeometry": "Geometry",
}  # fmt: skip


def read_xsd(root: Element, type_name: str) -> tuple[list[FieldDef], str | None, str]:
    """Return the fields, the geometry type (None for a table) and the geometry's name ('' if none).

    An empty field list means that the schema does not describe `type_name`.
    """
    fields: list[FieldDef] = []
    geometry: str | None = None
    geometry_name = ""
    for element in _properties(root, type_name.rsplit(":", 1)[-1]):
        name, kind = attribute(element, "name"), _type_of(element, root)
        if not name:
            reference = attribute(element, "ref").rsplit(":", 1)[-1]
            name, kind = reference, kind or "Geometry" if "eometry" in reference else ""
            if not kind:
                continue
        shape = _geometry(kind)
        if shape:
            geometry, geometry_name = geometry or shape, geometry_name or name
        elif name not in {"boundedBy", "metaDataProperty"}:
            fields.append(FieldDef(name, _TYPES.get(kind, FieldType.TEXT)))
    return fields, geometry, geometry_name


def _properties(root: Element, name: str) -> Iterable[Element]:
    declared = next((e for e in every(root, "element") if attribute(e, "name") == name), None)
    inner = first(declared, "complexType")
    if inner is None:
        wanted = attribute(declared, "type").rsplit(":", 1)[-1] if declared is not None else f"{name}Type"
        inner = next((e for e in every(root, "complexType") if attribute(e, "name") == wanted), None)
    for sequence in (*every(inner, "**/sequence"), *every(inner, "**/all")):
        yield from every(sequence, "element")
        return


def _type_of(element: Element, root: Element) -> str:
    kind = attribute(element, "type").rsplit(":", 1)[-1]
    if kind:
        named = next((e for e in every(root, "simpleType") if attribute(e, "name") == kind), None)
        restriction = first(named, "restriction")
    else:
        restriction = first(element, "simpleType/restriction")
    return attribute(restriction, "base").rsplit(":", 1)[-1] if restriction is not None else kind


def _geometry(kind: str) -> str | None:
    if kind.endswith("PropertyType"):
        return _GEOMETRIES.get(kind.removesuffix("PropertyType"))
    return "Geometry" if kind == "Geometry" else None


def infer(rows: Iterable[dict[str, Any]]) -> list[FieldDef]:
    """Return fields for sample rows: a type only where every value agrees, else text."""
    seen: dict[str, set[FieldType]] = {}
    for row in rows:
        for name, value in row.items():
            kinds = seen.setdefault(name, set())
            if value is not None:
                kinds.add(_kind(value))
    return [FieldDef(name, _common(kinds)) for name, kinds in seen.items()]


def _kind(value: Any) -> FieldType:
    if isinstance(value, bool):
        return FieldType.BOOLEAN
    if isinstance(value, int):
        return FieldType.INTEGER
    if isinstance(value, float):
        return FieldType.REAL
    if isinstance(value, datetime):
        return FieldType.DATETIME
    return FieldType.DATE if isinstance(value, date) else FieldType.TEXT


def _common(kinds: set[FieldType]) -> FieldType:
    if kinds == {FieldType.INTEGER, FieldType.REAL}:
        return FieldType.REAL
    return next(iter(kinds)) if len(kinds) == 1 else FieldType.TEXT


def sort_key(fields: Iterable[FieldDef], feature_id: str | None) -> list[str]:
    """Return the properties to sort by: the id when one is known, else three columns against ties."""
    by_name = {f.name.casefold(): f for f in fields}
    if feature_id and feature_id.casefold() in by_name:
        return [by_name[feature_id.casefold()].name]
    for name in ("objectid", "ogc_fid", "fid", "gid", "id", "objectid_1", "uuid", "globalid"):
        if name in by_name:
            return [by_name[name].name]
    ranked = sorted(
        by_name.values(), key=lambda f: (not f.name.casefold().startswith(("kd", "kode", "code", "id")),)
    )
    sortable = [f.name for f in ranked if f.type in (FieldType.TEXT, FieldType.INTEGER)]
    return sortable[:3]


def cast(value: Any, kind: FieldType) -> Any:
    """Return a text of GML as its declared type; what does not fit stays text for the store to judge."""
    if not isinstance(value, str):
        return value
    if kind is FieldType.TEXT:
        return value
    text = value.strip()
    if not text:
        return None
    try:
        if kind is FieldType.INTEGER:
            return int(text)
        if kind is FieldType.REAL:
            return float(text)
    except ValueError:
        return value
    if kind is FieldType.BOOLEAN:
        return {"true": True, "1": True, "false": False, "0": False}.get(text.lower(), value)
    return text
