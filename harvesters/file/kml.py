"""KML, streamed: placemarks with their names, descriptions and ExtendedData (GDAL's reader drops those)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from lxml import etree
from shapely.geometry import LineString, MultiPoint, Point, Polygon

from catalog.errors import ProtocolError
from catalog.model import BBox, FieldDef, ItemError, LayerSchema
from catalog.sources import LayerConfig
from harvesters.file.content import Ids, layer_options
from harvesters.file.rows import Item
from harvesters.file.shape import bbox_of, known_id, stored_type

_SINGLE = {"Point", "LineString", "LinearRing", "Polygon"}


class KmlReader:
    """Reads the placemarks of one KML. Two passes: the first learns fields, types and the count."""

    def __init__(self, path: Path, layer: LayerConfig) -> None:
        self._path, self._layer = path, layer
        self._options = layer_options(layer)
        self.notes: dict[str, str] = {}

    def _placemarks(self) -> Iterator[Any]:
        try:
            parser = etree.iterparse(
                str(self._path), events=("end",), tag="{*}Placemark",
                resolve_entities=False, no_network=True, remove_comments=True, remove_pis=True,
            )  # fmt: skip
            for _, element in parser:
                yield element
                element.clear()
                while (parent := element.getparent()) is not None and element.getprevious() is not None:
                    del parent[0]
        except (etree.XMLSyntaxError, OSError) as error:
            raise ProtocolError(f"the KML is cut or broken: {error}", where=self._path.name) from error

    @cached_property
    def _learned(self) -> tuple[list[str], str, int, tuple[float, float, float, float] | None]:
        names: dict[str, None] = {}
        types: set[str] = set()
        count, boxes = 0, []
        for placemark in self._placemarks():
            count += 1
            names |= dict.fromkeys(_properties(placemark))
            geometry = _try_geometry(placemark)
            if isinstance(geometry, shapely.Geometry):
                types.add(geometry.geom_type)
                boxes.append(shapely.bounds(geometry))
        box = None
        if boxes:
            all_ = np.array(boxes)
            box = (*all_[:, :2].min(axis=0).tolist(), *all_[:, 2:].max(axis=0).tolist())
        return list(names), stored_type(sorted(types)) if types else "Geometry", count, box

    def schema(self) -> LayerSchema:
        """Return the shape: every attribute is text, coordinates are degrees."""
        names, geometry, _, _ = self._learned
        known_id(self._layer.feature_id, names, self._path.name)
        wanted = self._options.columns
        code = self._layer.region_code
        return LayerSchema(
            fields=tuple(FieldDef(name) for name in names if not wanted or name in wanted),
            geometry_type=geometry,
            crs="EPSG:4326",
            time_field=self._layer.time.field,
            region_code=code if code and code.field in names else None,
        )

    def count(self) -> int:
        """Return the number of placemarks."""
        return self._learned[2]

    def bbox(self) -> BBox | None:
        """Return the extent in degrees."""
        return bbox_of(self._learned[3], "EPSG:4326")

    def items(self) -> Iterator[Item | ItemError]:
        """Stream the placemarks."""
        names = self.schema().names()
        ids = Ids(self._layer.feature_id, self._options.ids)
        for number, placemark in enumerate(self._placemarks(), start=1):
            properties = _properties(placemark)
            row: dict[str, Any] = {name: properties.get(name) for name in names}
            found = ids.of(row, number, placemark.get("id"))
            if isinstance(found, ItemError):
                yield found
                continue
            geometry = _try_geometry(placemark)
            if isinstance(geometry, str):
                yield ItemError("geometry-unreadable", geometry, found)
            else:
                yield Item(found, row, geometry)


def _local(element: Any) -> str:
    return str(etree.QName(element).localname) if isinstance(element.tag, str) else ""


def _properties(placemark: Any) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for child in placemark:
        name = _local(child)
        if name in {"name", "description"}:
            found[name] = (child.text or "").strip() or None
        elif name == "ExtendedData":
            for data in child.iter("{*}SimpleData", "{*}Data"):
                value = data.findtext("{*}value") if _local(data) == "Data" else data.text
                found[data.get("name") or "data"] = (value or "").strip() or None
    return found


def _try_geometry(placemark: Any) -> shapely.Geometry | str | None:
    """Return the geometry, None without one, or why it can not be built."""
    for child in placemark:
        if _local(child) in {*_SINGLE, "MultiGeometry"}:
            try:
                return _geometry(child)
            except (ValueError, shapely.errors.ShapelyError) as error:
                return str(error)
    return None


def _geometry(element: Any) -> shapely.Geometry:
    kind = _local(element)
    if kind == "MultiGeometry":
        parts = [_geometry(c) for c in element if _local(c) in {*_SINGLE, "MultiGeometry"}]
        if parts and all(isinstance(part, Point) for part in parts):
            return MultiPoint(parts)
        return _collected(parts)
    if kind == "Polygon":
        rings = [_coordinates(r) for r in element.findall("{*}innerBoundaryIs/{*}LinearRing")]
        return Polygon(_coordinates(element.find("{*}outerBoundaryIs/{*}LinearRing")), rings)
    points = _coordinates(element)
    return Point(points[0]) if kind == "Point" else LineString(points)


def _collected(parts: list[shapely.Geometry]) -> shapely.Geometry:
    kinds = {part.geom_type for part in parts}
    if kinds == {"Polygon"}:
        return shapely.multipolygons(parts)
    return shapely.multilinestrings(parts) if kinds == {"LineString"} else shapely.geometrycollections(parts)


def _coordinates(element: Any) -> list[tuple[float, float]]:
    text = element.findtext("{*}coordinates") if element is not None else None
    if not text or not text.strip():
        raise ValueError("no coordinates")
    points = [word.split(",") for word in text.split()]
    return [(float(point[0]), float(point[1])) for point in points if len(point) >= 2]
