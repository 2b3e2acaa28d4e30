"""A version as lines of GeoJSON for tippecanoe: features with `fid`, and points to write names at."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import shapely

from catalog.model import FieldType, LayerSchema
from layers.contract import FeatureBatch, Geometries, LayerReader
from layers.crs import CRS84, is_lonlat, transform
from layers.tiles.grid import HALF, Grid
from layers.tiles.plan import FID, LABELS, TilePlan, numeric_id
from layers.values import stored_form

BATCH = 2_000
_LABEL_PIXELS = 48
"""A name is written from the zoom on at which its area is so many pixels wide (512 to a tile)."""


@dataclass(slots=True)
class Areas:
    """A layer of areas as it went through `lines`: what its overview zooms are made of."""

    ids: list[str] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)
    """Attributes as MVT holds them, with `fid`."""
    shapes: list[Geometries] = field(default_factory=list)
    """In degrees, batch by batch."""
    labels: list[tuple[int, bytes]] = field(default_factory=list)
    """Names as lines of GeoJSON, each with the first zoom (archive's count) at which it is written."""

    def take(self, batch: FeatureBatch, shapes: Geometries) -> None:
        """Keep a batch's features."""
        self.ids += batch.ids
        self.rows += [properties(i, row) for i, row in zip(batch.ids, batch.rows, strict=True)]
        self.shapes.append(shapes)


def lines(
    reader: LayerReader, plan: TilePlan, grid: Grid, areas: Areas | None = None
) -> Iterator[tuple[int, bytes]]:
    """Yield (features done, some lines of GeoJSON); coordinates as tippecanoe is to take them.

    WebMercatorQuad is given degrees, WorldCRS84Quad degrees scaled to EPSG:3857's width (see `grid`).
    `areas` takes in what it does not have yet, and this grid's names.
    """
    schema = reader.info.schema or LayerSchema(())
    done, known = 0, areas is None or bool(areas.ids)
    for batch in reader.batches(plan.names(), size=BATCH):
        shapes = lonlat(batch, schema)
        done += len(batch)
        made = [*_features(batch, shapes, plan, grid)]
        if areas is not None and not known:
            areas.take(batch, shapes)
        if plan.label and plan.family == "polygon":
            labels = [*_labels(batch, shapes, plan, grid)]
            made += [line for _, line in labels]
            if areas is not None:
                areas.labels += labels
        yield done, b"".join(made)


def lonlat(batch: FeatureBatch, schema: LayerSchema) -> Geometries:
    """Return a batch's geometries in degrees, longitude first; curved or mixed ones as they are."""
    shapes = batch.geometries if batch.geometries is not None else np.full(len(batch), None, dtype=object)
    return shapes if is_lonlat(schema.crs) else transform(shapes, schema.crs, CRS84)


def properties(feature_id: str, row: dict[str, Any]) -> dict[str, Any]:
    """Return the attributes as MVT can hold them: no nulls, dates and times as text."""
    made: dict[str, Any] = {FID: feature_id}
    for name, value in row.items():
        if value is None or (isinstance(value, float) and not math.isfinite(value)):
            continue
        made[name] = stored_form(value)
    return made


def _features(batch: FeatureBatch, shapes: Geometries, plan: TilePlan, grid: Grid) -> Iterator[bytes]:
    texts = _texts(shapes, grid)
    for feature_id, row, text in zip(batch.ids, batch.rows, texts, strict=True):
        if text is not None:
            yield _line(plan.layer, feature_id, properties(feature_id, row), text)


def _labels(
    batch: FeatureBatch, shapes: Geometries, plan: TilePlan, grid: Grid
) -> Iterator[tuple[int, bytes]]:
    """One point inside each area, from the zoom on at which its name fits."""
    texts = _texts(shapely.point_on_surface(shapes), grid)
    widths = np.sqrt(np.nan_to_num(shapely.area(shapes), nan=0.0))
    for feature_id, row, text, width in zip(batch.ids, batch.rows, texts, widths.tolist(), strict=True):
        name = row.get(plan.label or "")
        if text is not None and name:
            first = label_zoom(width, plan.max_zoom)
            said = {FID: feature_id, "name": str(name)}
            yield first, _line(plan.layer + LABELS, feature_id, said, text, first)


def label_zoom(width: float, deepest: int) -> int:
    """Return the first zoom at which something `width` degrees wide has room for a name."""
    if width <= 0:
        return deepest
    return max(0, min(deepest, math.ceil(math.log2(_LABEL_PIXELS * 360 / (512 * width)))))


def _texts(shapes: Geometries, grid: Grid) -> Sequence[str | None]:
    """Return GeoJSON geometries (None for none): 7 decimals of a degree, or their scaled like (1 cm)."""
    shapes = shapely.transform(shapes, _scaled if grid.id == "WorldCRS84Quad" else _rounded)
    found: Sequence[str | None] = shapely.to_geojson(shapes)
    return found


def _rounded(degrees: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.round(degrees, 7)


def _scaled(degrees: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.round(np.round(degrees, 7) * (HALF / 180), 2)


def _line(
    layer: str, feature_id: str, values: dict[str, Any], geometry: str, first: int | None = None
) -> bytes:
    said: dict[str, Any] = {"layer": layer}
    if first is not None:
        said["minzoom"] = first
    start = b'{"type":"Feature","id":%d,"tippecanoe":' % numeric_id(feature_id)
    parts = (start, orjson.dumps(said), b',"properties":', orjson.dumps(values), b',"geometry":')
    return b"".join((*parts, geometry.encode(), b"}\n"))


FIELD_KINDS = {
    FieldType.TEXT: "String", FieldType.INTEGER: "Number", FieldType.REAL: "Number",
    FieldType.BOOLEAN: "Boolean", FieldType.DATE: "String", FieldType.DATETIME: "String",
}  # fmt: skip
"""How TileJSON calls our types."""
