"""Points of a layer and the region code that each of them claims: what verification asks about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely

from catalog.errors import QueryError
from catalog.model import Scheme
from layers.contract import LayerReader
from layers.crs import CRS84, transform


@dataclass(frozen=True, slots=True)
class Claims:
    """Points as (id, lon, lat, code) in degrees, None without a place, and what the codes are declared."""

    rows: list[tuple[str, float | None, float | None, Any]]
    scheme: Scheme | None
    vintage: int | None


def claims_of(reader: LayerReader, column: str = "") -> Claims:
    """Return the points of a layer; codes stand in `column` (default: the declared region code).

    QueryError (where: `koleksi` or `kolom_kode`) for a layer that is not of points, or has no such column.
    """
    schema = reader.info.schema
    if schema is None or schema.geometry_type != "Point":
        raise QueryError("not a layer of points", where="koleksi")
    declared = schema.region_code
    code = column or (declared.field if declared else "")
    if code not in schema.names():
        raise QueryError("there is no such column, and none is declared", where="kolom_kode")
    rows: list[tuple[str, float | None, float | None, Any]] = []
    for batch in reader.batches([code]):
        shapes = transform(batch.geometries, schema.crs, CRS84)
        places = np.column_stack([shapely.get_x(shapes), shapely.get_y(shapes)]).tolist()
        for feature_id, row, (lon, lat) in zip(batch.ids, batch.rows, places, strict=True):
            absent = lon != lon  # NaN: a feature without geometry
            rows.append((feature_id, None if absent else lon, None if absent else lat, row[code]))
    own = declared if declared is not None and declared.field == code else None
    return Claims(rows, own.scheme if own else None, own.vintage if own else None)
