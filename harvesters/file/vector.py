"""Vector files through fiona: GeoPackage, Shapefile, GeoJSON and its lines, FlatGeobuf, GML."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import fiona
import numpy as np
import shapely
from fiona._err import CPLE_BaseError
from fiona.errors import FionaError
from shapely.geometry import shape

from catalog.errors import ProtocolError
from catalog.model import BBox, FieldDef, FieldType, ItemError, LayerSchema
from catalog.sources import LayerConfig
from harvesters.file.content import Ids, layer_options
from harvesters.file.crs import Bounds, FileCrs, decide
from harvesters.file.rows import Item
from harvesters.file.shape import bbox_of, known_id, mover, stored_type, value_of
from harvesters.file.sniff import Format, sibling

DRIVERS: dict[Format, str] = {
    "gpkg": "GPKG", "sqlite": "SQLite", "flatgeobuf": "FlatGeobuf", "shp": "ESRI Shapefile",
    "dbf": "ESRI Shapefile", "geojson": "GeoJSON", "geojsonseq": "GeoJSONSeq", "gml": "GML",
}  # fmt: skip
_TYPES = {
    "int": FieldType.INTEGER, "int32": FieldType.INTEGER, "int64": FieldType.INTEGER,
    "int16": FieldType.INTEGER, "float": FieldType.REAL, "float32": FieldType.REAL, "bool": FieldType.BOOLEAN,
    "date": FieldType.DATE, "datetime": FieldType.DATETIME,
}  # fmt: skip
MAX_OBJECT_MB = "4000"
"""Memory that GDAL may take for one GeoJSON feature: its own 200 MB stop at a feature of about 10 MB."""
_BROKEN = (FionaError, CPLE_BaseError, UnicodeDecodeError)


def layer_names(path: Path, kind: Format) -> list[str]:
    """List the layers of a file; ProtocolError when GDAL can not read it."""
    try:
        return list(fiona.listlayers(str(path))) if kind in {"gpkg", "sqlite", "gml"} else [path.stem]
    except (*_BROKEN, ValueError) as error:
        raise ProtocolError(f"the file can not be read: {error}", where=path.name) from error


class VectorReader:
    """Reads one layer through fiona."""

    def __init__(self, path: Path, kind: Format, name: str, layer: LayerConfig) -> None:
        self._path, self._kind, self._layer = path, kind, layer
        self._name = name if kind in {"gpkg", "sqlite", "gml"} else None
        self._options = layer_options(layer)
        self.notes: dict[str, str] = {}
        self._encoding = self._options.encoding or self._dbf_encoding()

    @contextmanager
    def _open(self) -> Iterator[Any]:
        extra: dict[str, Any] = {"layer": self._name} if self._name else {}
        if self._encoding:
            extra["encoding"] = self._encoding
        with fiona.Env(OGR_GEOJSON_MAX_OBJ_SIZE=MAX_OBJECT_MB):
            try:
                source = fiona.open(str(self._path), enabled_drivers=[DRIVERS[self._kind]], **extra)
            except (*_BROKEN, ValueError) as error:
                raise ProtocolError(f"the file can not be read: {error}", where=self._path.name) from error
            with source:
                yield source

    @cached_property
    def _head(self) -> tuple[dict[str, str], str, str, Bounds | None, int]:
        """Properties with types, geometry type, CRS as WKT, bounds, number of features."""
        with self._open() as source:
            try:
                count = len(source)
                properties = {k: str(v) for k, v in source.schema["properties"].items()}
                bounds = _bounds(source) if count else None
                return properties, str(source.schema["geometry"]), source.crs_wkt or "", bounds, count
            except (*_BROKEN, TypeError) as error:
                raise ProtocolError(f"the file can not be read: {error}", where=self._path.name) from error

    @cached_property
    def _crs(self) -> FileCrs:
        _, _, wkt, bounds, _ = self._head
        found = decide(wkt, self._layer.crs, bounds, self._path.name)
        if found.note:
            self.notes["crs"] = found.note
        return found

    def schema(self) -> LayerSchema:
        """Return the shape; single polygons and lines are stored as multi."""
        properties, geometry, _, _, _ = self._head
        fields = tuple(FieldDef(k, _field_type(v)) for k, v in properties.items() if self._wanted(k))
        if len(fields) > self._options.max_columns:
            raise ProtocolError(
                f"{len(fields)} columns; {self._options.max_columns} can be kept",
                where=self._path.name, hint="name the ones you need in the layer's options.columns",
            )  # fmt: skip
        names = {f.name for f in fields}
        known_id(self._layer.feature_id, names, self._path.name)
        code = self._layer.region_code
        plain = geometry.removeprefix("3D ").removeprefix("Measured ")
        return LayerSchema(
            fields=fields,
            geometry_type=None if plain == "None" else stored_type([plain]),
            crs=self._crs.code,
            time_field=self._layer.time.field,
            region_code=code if code and code.field in names else None,
        )

    def _wanted(self, name: str) -> bool:
        return not self._options.columns or name in self._options.columns

    def count(self) -> int:
        """Return the number of features that the file states."""
        return self._head[4]

    def bbox(self) -> BBox | None:
        """Return the extent in degrees."""
        return bbox_of(self._head[3], self._crs.source or self._crs.code)

    def items(self) -> Iterator[Item | ItemError]:
        """Stream the features; one whose geometry can not be built is an item error."""
        schema = self.schema()
        kinds = {f.name: f.type for f in schema.fields}
        ids = Ids(self._layer.feature_id, self._options.ids)
        move = mover(self._crs, self._options.swap_xy)
        with self._open() as source:
            try:
                for number, feature in enumerate(source, start=1):
                    yield _item(feature, number, kinds, ids, move)
            except _BROKEN as error:
                raise ProtocolError(f"the file is cut or broken: {error}", where=self._path.name) from error

    def _dbf_encoding(self) -> str | None:
        """Guess a .dbf's encoding when neither .cpg nor its language byte tells it."""
        dbf = sibling(self._path, ".dbf") if self._kind in {"shp", "dbf"} else None
        if dbf is None or sibling(self._path, ".cpg") is not None:
            return None
        with dbf.open("rb") as file:
            head = file.read(32)
            file.seek(struct.unpack("<H", head[8:10])[0])
            sample = file.read(1 << 22)
        if head[29] not in {0, 0x57} or sample.isascii():
            return None
        try:
            sample[: len(sample) - 4].decode("utf-8")
            guess = "UTF-8"
        except UnicodeDecodeError as error:
            guess = "UTF-8" if error.start > len(sample) - 8 else "CP1252"
        self.notes["encoding"] = f"{guess} (no .cpg: found out)"
        return guess


def _bounds(source: Any) -> Bounds | None:
    if source.schema["geometry"] == "None":
        return None
    west, south, east, north = source.bounds
    return (west, south, east, north) if np.isfinite([west, south, east, north]).all() else None


def _field_type(text: str) -> FieldType:
    return _TYPES.get(text.partition(":")[0], FieldType.TEXT)


def _item(feature: Any, number: int, kinds: dict[str, FieldType], ids: Ids, move: Any) -> Item | ItemError:
    properties = feature.properties
    row = {name: value_of(properties.get(name), kind) for name, kind in kinds.items()}
    found = ids.of(row, number, feature.id)
    if isinstance(found, ItemError):
        return found
    geometry = None
    if feature.geometry is not None:
        try:
            geometry = _shape(feature.geometry)
            geometry = move(geometry) if move is not None else geometry
        except (shapely.errors.ShapelyError, ValueError, TypeError, IndexError) as error:
            return ItemError("geometry-unreadable", str(error), found)
    return Item(found, row, geometry)


def _shape(geometry: Any) -> shapely.Geometry:
    """Return the shapely geometry; polygons through arrays, which is three times as fast."""
    if geometry.type == "Polygon" and geometry.coordinates:
        return _polygon(geometry.coordinates)
    if geometry.type == "MultiPolygon" and geometry.coordinates:
        return shapely.multipolygons([_polygon(rings) for rings in geometry.coordinates])
    return shape(geometry)


def _polygon(rings: Any) -> shapely.Polygon:
    return shapely.Polygon(np.array(rings[0]), [np.array(ring) for ring in rings[1:]])
