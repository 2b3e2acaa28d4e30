"""One tile made when it is asked for: where there is no archive (yet), and below its deepest zoom.

Works on any layer reader: the features whose boxes touch the tile, cut to the tile and its rim,
rounded to the tile's units. Corners that neighbours share are rounded alike, so no gap opens between
them. The work is bounded: a tile of too many features is refused, to be asked again when the archive
is there. PostGIS makes its tiles itself (`layers.tiles.postgis`).
"""

from __future__ import annotations

import gzip
import math
from collections.abc import Iterator
from typing import Any

import mapbox_vector_tile
import numpy as np
import numpy.typing as npt
import shapely

from catalog.errors import SatuDataError
from catalog.model import BBox, LayerSchema
from layers.contract import Geometries, LayerReader, Query
from layers.crs import CRS84, transform_bounds
from layers.tiles.features import lonlat, properties
from layers.tiles.grid import EXTENT, Grid
from layers.tiles.plan import TilePlan, numeric_id
from layers.valid import valid

RIM = 64
"""Units around the tile that are kept, so that lines and outlines do not end at its edge."""
MOST_FEATURES = 3_000
"""Features that one tile on request may hold: some 2 s of work at most."""
_BATCH = 1_000
_EVERYWHERE = (-1e9, -1e9, 1e9, 1e9)


class TileBusyError(SatuDataError):
    """The tile holds too much to be made on request; the archive will have it."""

    code = "tile-not-ready"
    http_status = 503


def make_tile(
    reader: LayerReader, plan: TilePlan, grid: Grid, zoom: int, row: int, column: int
) -> bytes | None:
    """Return the gzipped tile, None when it is empty; TileBusyError when it is too much at once."""
    schema = reader.info.schema or LayerSchema(())
    bounds = grid.bounds(zoom, row, column)
    where = Query(bbox=asked(grid, bounds, schema))
    if reader.count(where) > MOST_FEATURES:
        raise TileBusyError(where=plan.layer)
    features = [*_features(reader, plan, grid, zoom + grid.first_zoom, bounds, where, schema)]
    return encoded(plan.layer, features)


def encoded(layer: str, features: list[dict[str, Any]]) -> bytes | None:
    """Return features in tile units as a gzipped MVT of one layer, None when there are none."""
    if not features:
        return None
    made = mapbox_vector_tile.encode(
        [{"name": layer, "features": features}], default_options={"y_coord_down": True, "extents": EXTENT}
    )
    return gzip.compress(made, compresslevel=5, mtime=0)


def asked(grid: Grid, bounds: BBox, schema: LayerSchema) -> BBox:
    """Return the tile with its rim as a box in the layer's CRS; everywhere if that CRS can not tell."""
    west, south, east, north = bounds
    rim = (east - west) * RIM / EXTENT
    wide = (
        max(west - rim, -grid.half), max(south - rim, -grid.top),
        min(east + rim, grid.half), min(north + rim, grid.top),
    )  # fmt: skip
    found: BBox = transform_bounds(grid.lonlat(wide), CRS84, schema.crs)
    return found if all(map(math.isfinite, found)) else _EVERYWHERE


def _features(
    reader: LayerReader,
    plan: TilePlan,
    grid: Grid,
    zoom: int,
    bounds: BBox,
    where: Query,
    schema: LayerSchema,
) -> Iterator[dict[str, Any]]:
    for batch in reader.batches(plan.names(zoom), size=_BATCH, where=where):
        shapes = in_units(lonlat(batch, schema), grid, bounds)
        for feature_id, row, shape in zip(batch.ids, batch.rows, shapes, strict=True):
            for part in _drawn(shape):
                yield {
                    "id": numeric_id(feature_id),
                    "geometry": part,
                    "properties": properties(feature_id, row),
                }


def in_units(shapes: Geometries, grid: Grid, bounds: BBox) -> Geometries:
    """Return degrees as whole tile units (y down), cut to the tile and its rim."""
    west, _, east, north = bounds
    scale = EXTENT / (east - west)

    def change(degrees: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        units = grid.project(degrees)
        return np.column_stack(((units[:, 0] - west) * scale, (north - units[:, 1]) * scale))

    low, high = -RIM, EXTENT + RIM
    # Rounded before it is cut: a corner is where it is, whichever tile shows it.
    rounded = shapely.transform(shapely.transform(shapes, change), np.rint)
    mended = _mended(rounded, shapely.get_dimensions(shapes))
    cut = shapely.clip_by_rect(mended, low, low, high, high)
    return shapely.transform(cut, np.rint)  # type: ignore[no-any-return]


def _mended(shapes: Geometries, dimensions: npt.NDArray[Any]) -> Geometries:
    """Make areas valid that rounding has pinched; what it flattened has no area and is left out."""
    broken = np.flatnonzero((dimensions == 2) & ~shapely.is_valid(shapes))
    shapes = shapes.copy()
    for index in broken:
        parts = shapely.get_parts(shapely.get_parts(valid(shapes[index])))
        shapes[index] = shapely.MultiPolygon([p for p in parts if p.geom_type == "Polygon"])
    return shapes


def _drawn(shape: shapely.Geometry | None) -> Iterator[shapely.Geometry]:
    """Yield what MVT can draw: a collection is drawn by its parts."""
    if shape is None or shape.is_empty:
        return
    if shape.geom_type == "GeometryCollection":
        for part in shape.geoms:
            yield from _drawn(part)
    elif shape.geom_type == "LinearRing":
        yield shapely.LineString(shape.coords)
    else:
        yield shape
