"""The field kit: one GeoPackage of a kabupaten for staff without a network.

It holds each layer's features of that region (by region code, else by place), with the styles that QGIS
draws it in and its ISO 19139 record.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import shapely

from catalog.codes import Code
from catalog.errors import NotFoundError
from layers.contract import FeatureBatch, LayerReader, Query
from layers.crs import transform, transform_bounds
from layers.downloads.about import About
from layers.downloads.extract import Extract, by_region, where
from layers.downloads.write import Piece, add_layer
from layers.geopackage.format import put_iso, put_style

_CRS84 = "OGC:CRS84"


@dataclass(frozen=True, slots=True)
class KitStyle:
    """A way to draw a layer: its name for people, and the same rule as QML and SLD."""

    name: str
    qml: str
    sld: str


@dataclass(frozen=True, slots=True)
class KitLayer:
    """A layer of the kit: where it is read, what it says of itself, how it is drawn (first: by itself)."""

    reader: LayerReader
    about: About
    styles: Sequence[KitStyle] = ()


def write_kit(path: Path, region: Code, layers: Sequence[KitLayer]) -> int:
    """Write the kit to `path` (`*.gpkg`); return the number of features.

    The first layer with region codes and polygons gives the region's outline; layers without codes are
    cut to it. NotFoundError when no layer knows the region.
    """
    outline = _outline(layers, region)
    rows = 0
    for one in layers:
        piece = Piece(one.reader, None, one.about)
        chosen = _Chosen(one.reader, region, outline)
        add_layer(path, piece, chosen)
        rows += chosen.rows
    with closing(sqlite3.connect(path)) as db, db:
        for one in layers:
            put_iso(db, one.about.iso, one.about.dataset)
            for number, style in enumerate(one.styles):
                put_style(db, one.about.dataset, style.name, style.qml, style.sld, default=number == 0)
    return rows


def _outline(layers: Sequence[KitLayer], region: Code) -> shapely.Geometry:
    """Return the union of the region's polygons in CRS84."""
    for one in layers:
        schema = one.reader.info.schema
        if schema is None or not by_region(schema) or "olygon" not in (schema.geometry_type or ""):
            continue
        part = where(schema, Extract(region))
        found = [b.geometries for b in one.reader.batches([], where=part) if b.geometries is not None]
        shapes = np.concatenate(found) if found else np.array([], dtype=object)
        if len(shapes):
            return shapely.union_all(transform(shapes, schema.crs, _CRS84))
    raise NotFoundError(f"no layer has desa of {region}", where="kode")


class _Chosen:
    """The features of one layer that lie in the region."""

    def __init__(self, reader: LayerReader, region: Code, outline: shapely.Geometry) -> None:
        self._reader, self._region, self._outline = reader, region, outline
        self.rows = 0

    def __iter__(self) -> Iterator[FeatureBatch]:
        for batch in self._batches():
            self.rows += len(batch)
            yield batch

    def _batches(self) -> Iterator[FeatureBatch]:
        schema = self._reader.info.schema
        if schema is None:
            return
        if by_region(schema):
            yield from self._reader.batches(where=where(schema, Extract(self._region)))
        elif schema.geometry_type is None:
            yield from self._reader.batches()  # a table without codes has no place: all of it
        else:
            box = transform_bounds(self._outline.bounds, _CRS84, schema.crs)
            shape = transform(self._outline, _CRS84, schema.crs)
            shapely.prepare(shape)
            for batch in self._reader.batches(where=Query(bbox=box)):
                yield _inside(batch, shape)


def _inside(batch: FeatureBatch, shape: shapely.Geometry) -> FeatureBatch:
    if batch.geometries is None:
        return batch
    keep = np.flatnonzero(shapely.intersects(shape, batch.geometries))
    ids, rows = [batch.ids[i] for i in keep], [batch.rows[i] for i in keep]
    return FeatureBatch(ids, rows, batch.geometries[keep])
