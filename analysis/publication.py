"""A result as a layer: schema and batches for `layers.publish.publish_table`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa
import shapely

from analysis.result import Result, arrow_table
from catalog.model import FieldDef, FieldType, LayerSchema, RegionCode
from layers.arrow import GEOMETRY
from layers.contract import FeatureBatch

_SIZE = 5000
_MULTI = {"Polygon": "MultiPolygon", "LineString": "MultiLineString", "Point": "MultiPoint"}


def layer_of(
    result: Result, *, region: RegionCode | None = None, titles: Mapping[str, str] | None = None
) -> tuple[LayerSchema, Iterator[FeatureBatch]]:
    """Return the shape of a result as a layer, and its rows; `region` says what the codes are.

    An id is the region code where each stands once, else the number of the row.
    """
    table = arrow_table(result)
    names = [name for name in table.column_names if name != GEOMETRY]
    fields = tuple(FieldDef(n, _type(table.schema.field(n).type), (titles or {}).get(n, "")) for n in names)
    declared = region if region is not None and region.field in names else None
    schema = LayerSchema(fields, _geometry_type(result), "OGC:CRS84", region_code=declared)
    rows = table.select(names).to_pylist()
    return schema, _batches(result, rows, declared.field if declared else "")


def _type(kind: pa.DataType) -> FieldType:
    for fits, ours in (
        (pa.types.is_boolean, FieldType.BOOLEAN), (pa.types.is_integer, FieldType.INTEGER),
        (pa.types.is_floating, FieldType.REAL), (pa.types.is_date, FieldType.DATE),
        (pa.types.is_timestamp, FieldType.DATETIME),
    ):  # fmt: skip
        if fits(kind):
            return ours
    return FieldType.TEXT


def _geometry_type(result: Result) -> str | None:
    if result.geometries is None:
        return None
    kinds = {shape.geom_type for shape in result.geometries if shape is not None}
    if len(kinds) == 1:
        return str(kinds.pop())
    for single, multi in _MULTI.items():
        if kinds == {single, multi}:
            return multi
    return "Geometry"


def _batches(result: Result, rows: list[dict[str, Any]], key: str) -> Iterator[FeatureBatch]:
    codes = [row.get(key) for row in rows] if key else []
    unique = bool(codes) and None not in codes and max(Counter(codes).values()) == 1
    ids = [str(code) for code in codes] if unique else [str(number) for number in range(1, len(rows) + 1)]
    for start in range(0, len(rows), _SIZE):
        part = slice(start, start + _SIZE)
        shapes = None if result.geometries is None else shapely.force_2d(result.geometries[part])
        yield FeatureBatch(ids[part], rows[part], shapes)
