"""One WFS page as features: GeoJSON directly, GML through GDAL."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import fiona
import numpy as np
import orjson
import pyproj
import shapely
from fiona.errors import FionaError
from fiona.io import MemoryFile
from lxml import etree

from catalog.errors import ProtocolError
from catalog.metadata.values import crs_code
from catalog.metadata.xmlsafe import Element, attribute, local, own_text, parse_xml
from catalog.model import FieldDef
from harvesters.wfs.schema import cast
from harvesters.wfs.service import exception_text, hits
from layers.contract import Geometries

log = logging.getLogger(__name__)
Axis = Literal["declared", "xy", "yx"]
_MEMBERS = {"member", "featureMember", "featureMembers"}


@dataclass(slots=True)
class WfsPage:
    """Features as the server gave them: own ids ('' when it has none), raw values, geometries x, y.

    `matched` is what the server says the whole query matches, `crs` what the page itself declares.
    """

    ids: list[str]
    rows: list[dict[str, Any]]
    geometries: Geometries
    matched: int | None = None
    crs: str = ""

    def __len__(self) -> int:
        return len(self.ids)


def read_geojson(content: bytes, where: str) -> WfsPage:
    """Read a GeoJSON FeatureCollection; ProtocolError when it is none or cut short."""
    try:
        document = orjson.loads(content)
    except orjson.JSONDecodeError as exc:
        raise ProtocolError(f"not JSON ({exc})", where=where) from exc
    if not isinstance(document, dict) or not isinstance(document.get("features"), list):
        raise ProtocolError("JSON without features", where=where)
    features: list[dict[str, Any]] = document["features"]
    texts = [orjson.dumps(f["geometry"]).decode() if f.get("geometry") else None for f in features]
    try:
        geometries = shapely.from_geojson(np.array(texts, dtype=object))
    except shapely.errors.GEOSException as exc:
        raise ProtocolError(f"unreadable geometry: {exc}", where=where) from exc
    matched = document.get("numberMatched", document.get("totalFeatures"))
    named = ((document.get("crs") or {}).get("properties") or {}).get("name", "")
    return WfsPage(
        ids=["" if f.get("id") is None else str(f["id"]) for f in features],
        rows=[dict(f.get("properties") or {}) for f in features],
        geometries=geometries,
        matched=matched if isinstance(matched, int) and matched >= 0 else None,
        crs=crs_code(str(named)),
    )


def read_gml(content: bytes, fields: Sequence[FieldDef], axis: Axis, where: str, declared: str) -> WfsPage:
    """Read a GML feature collection through GDAL. `declared` is the type's srsName, for pages without.

    Values stay text until cast by the declared types, so a code keeps its leading zeros. x comes
    first whatever order the CRS has; `axis` overrules servers that declare one and send the other.
    """
    root = parse_xml(content, where=where, huge=True)
    if (said := exception_text(root)) is not None:
        raise ProtocolError(f"WFS exception: {said}", where=where)
    if local(root) != "FeatureCollection":
        raise ProtocolError(f"<{local(root)}> where a feature collection was expected", where=where)
    if any(exception_text(e) is not None for e in root):
        raise ProtocolError("an exceptions report in the middle of the features", where=where)
    if not any(len(e) for e in root if local(e) in _MEMBERS):
        return WfsPage([], [], np.empty(0, dtype=object), hits(root))
    root.attrib.pop("{http://www.w3.org/2001/XMLSchema-instance}schemaLocation", None)  # GDAL would fetch it
    _drop_envelopes(root)
    _flatten_times(root)
    page = _gdal(root, fields, axis, where)
    page.matched = hits(root)
    srs = next((attribute(e, "srsName") for e in root.iter() if attribute(e, "srsName")), "")
    page.crs = crs_code(srs)
    if not srs and axis != "xy" and (axis == "yx" or lat_first(declared)):
        page.geometries = swapped(page.geometries)
    return page


def _drop_envelopes(root: Element) -> None:
    """Take out `boundedBy`: GDAL would make attributes of its corners."""
    for element in list(root.iter("{*}boundedBy")):
        owner = element.getparent()
        if owner is not None:
            owner.remove(element)


def _flatten_times(root: Element) -> None:
    """Turn `<p><timePosition>t</timePosition></p>` into `<p>t</p>`: GDAL reads nothing of the former."""
    for element in list(root.iter("{*}timePosition")):
        owner = element.getparent()
        if owner is not None and local(owner) == "TimeInstant":
            owner = owner.getparent()
        if owner is not None:
            text = own_text(element)
            del owner[:]
            owner.text = text


def _gdal(root: Element, fields: Sequence[FieldDef], axis: Axis, where: str) -> WfsPage:
    settings = {
        "GML_FIELDTYPES": "ALWAYS_STRING",
        "GML_INVERT_AXIS_ORDER_IF_LAT_LONG": "NO" if axis == "xy" else "YES",
        "GML_CONSIDER_EPSG_AS_URN": "YES" if axis == "yx" else "AUTO",
        "GML_SKIP_RESOLVE_ELEMS": "ALL",
        "GML_DOWNLOAD_WFS_SCHEMA": "NO",
    }
    types = {f.name: f.type for f in fields}
    ids: list[str] = []
    rows: list[dict[str, Any]] = []
    shapes: list[Any] = []
    try:
        with fiona.Env(**settings), MemoryFile(etree.tostring(root), ext=".gml") as file:
            for layer in fiona.listlayers(file.name):
                with file.open(layer=layer) as collection:
                    for feature in collection:
                        row = dict(feature.properties)
                        ids.append(_own_id(row, types))
                        rows.append({n: cast(v, types[n]) if n in types else v for n, v in row.items()})
                        shapes.append(shapely.geometry.shape(feature.geometry) if feature.geometry else None)
    except (FionaError, ValueError, shapely.errors.ShapelyError) as exc:
        raise ProtocolError(f"unreadable GML: {exc}", where=where) from exc
    geometries = np.empty(len(shapes), dtype=object)
    geometries[:] = shapes
    return WfsPage(ids, rows, geometries)


def _own_id(row: dict[str, Any], types: dict[str, Any]) -> str:
    for name in ("gml_id", "fid"):
        if name not in types and (value := row.pop(name, None)):
            return str(value)
    return ""


def lat_first(srs_name: str) -> bool:
    """Tell whether this way of naming a CRS means latitude (northing) first."""
    if not srs_name.lower().startswith(("urn:", "http://www.opengis.net/def/crs")):
        return False
    code = crs_code(srs_name)
    if not code.startswith("EPSG:"):
        return False
    try:
        axes = pyproj.CRS.from_user_input(code).axis_info
    except pyproj.exceptions.CRSError:
        return False
    return bool(axes) and axes[0].direction.lower() in {"north", "south"}


def swapped(geometries: Geometries) -> Geometries:
    """Return the geometries with x and y exchanged."""
    result: Geometries = shapely.transform(geometries, lambda xy: xy[:, ::-1])
    return result


def impossible_latitude(geometries: Geometries) -> bool:
    """Tell whether the degrees can only be latitude first: y beyond 90 and no x beyond it."""
    if not len(geometries):
        return False
    west, south, east, north = shapely.total_bounds(geometries)
    return bool(max(abs(south), abs(north)) > 90 and max(abs(west), abs(east)) <= 90)


def looks_like_degrees(geometries: Geometries) -> bool:
    """Tell whether all coordinates are within the world in degrees."""
    west, south, east, north = shapely.total_bounds(geometries)
    return bool(-180 <= west <= east <= 180 and -90 <= south <= north <= 90)


def content_id(row: dict[str, Any], geometry: Any) -> str:
    """Return an id made from what the feature says, for servers whose ids change at each request."""
    digest = hashlib.sha256(orjson.dumps(row, option=orjson.OPT_SORT_KEYS, default=str))
    digest.update(shapely.to_wkb(geometry) if geometry is not None else b"")
    return digest.hexdigest()[:24]
