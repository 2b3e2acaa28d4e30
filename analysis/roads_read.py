"""A road network out of a stored layer of lines."""

from __future__ import annotations

from typing import Any

import numpy as np

from analysis.lookup_build import in_degrees
from analysis.roads import RoadNetwork, directions
from catalog.errors import QueryError
from layers.contract import LayerReader


def roads_of(reader: LayerReader, speed: str = "", oneway: str = "") -> RoadNetwork:
    """Read lines, and the columns of speed (km/h) and one-way where they are named.

    QueryError (`roads`, `roads_speed`, `roads_oneway`) for a layer without lines or such columns.
    """
    schema = reader.info.schema
    if schema is None or "LineString" not in (schema.geometry_type or ""):
        raise QueryError(f"{reader.info.layer_id} is no layer of lines", where="roads")
    for where, name in (("roads_speed", speed), ("roads_oneway", oneway)):
        if name and name not in schema.names():
            raise QueryError(f"there is no column {name!r}", where=where)
    shapes: list[Any] = []
    rows: list[dict[str, Any]] = []
    for batch in reader.batches([name for name in (speed, oneway) if name]):
        if batch.geometries is not None:
            moved = in_degrees(batch.geometries, schema.crs)
            shapes += moved.tolist()
            rows += batch.rows
    good = np.array([shape is not None and not shape.is_empty for shape in shapes], bool)
    lines = np.array(shapes, object)[good]
    kept = [row for row, use in zip(rows, good.tolist(), strict=True) if use]
    kmh = np.array([_number(row[speed]) for row in kept]) if speed else None
    ways = directions([row[oneway] for row in kept]) if oneway else None
    return RoadNetwork(lines, kmh=kmh, oneway=ways)


def _number(value: object) -> float:
    try:
        return float(str(value))
    except ValueError:
        return float("nan")
