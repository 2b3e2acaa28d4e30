"""GeoParquet 1.1 (https://geoparquet.org/releases/v1.1.0/): Parquet with the `geo` metadata, by pyarrow.

Rows keep the order they come in; a `bbox` covering column lets readers skip row groups.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import shapely

from layers.arrow import GEOMETRY
from layers.crs import CRS84, crs_of

_BBOX = "bbox"
_EDGES = ("xmin", "ymin", "xmax", "ymax")
_BOX = pa.struct([pa.field(name, pa.float64()) for name in _EDGES])
_GROUP = 20_000


def write_geoparquet(
    path: Path,
    schema: pa.Schema,
    batches: Iterable[pa.RecordBatch],
    crs: str,
    metadata: Mapping[str, str] | None = None,
) -> int:
    """Write batches whose `geometry` column is WKB (none: a plain Parquet); return the number of rows.

    `crs` is the CRS of the coordinates (x, y order). `metadata` are texts kept in the file. The `geo`
    metadata needs all rows seen, so it is added to the footer when the file is closed.
    """
    spatial = GEOMETRY in schema.names
    shape = schema.append(pa.field(_BBOX, _BOX)) if spatial else schema
    seen = _Seen()
    scratch = path.with_name(f"{path.name}.rows")
    try:
        # without Arrow's own copy of the schema, which would hide the texts from readers built on Arrow
        with pq.ParquetWriter(scratch, shape, compression="zstd", store_schema=False) as writer:
            for batch in batches:
                seen.rows += batch.num_rows
                rows = _covered(batch, shape, seen) if spatial else batch
                writer.write_batch(rows, row_group_size=_GROUP)
            texts = dict(metadata or {})
            if spatial:
                texts["geo"] = json.dumps(_geo(seen, crs))
            writer.add_key_value_metadata(texts)
        os.replace(scratch, path)
    finally:
        scratch.unlink(missing_ok=True)
    return seen.rows


class _Seen:
    """What the footer says of all rows: their types and extent."""

    def __init__(self) -> None:
        self.rows = 0
        self.types: set[str] = set()
        self.bounds: np.ndarray[Any, Any] = np.full(4, np.nan)

    def add(self, shapes: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Take note of geometries and return their bounds, (n, 4), NaN where there is none."""
        self.types |= {str(name) for name in {one.geom_type for one in shapes if one is not None}}
        bounds: np.ndarray[Any, Any] = shapely.bounds(shapes)
        if len(bounds) and not np.isnan(bounds).all():
            low = np.nanmin(np.vstack([bounds[:, :2], self.bounds[:2]]), axis=0)
            high = np.nanmax(np.vstack([bounds[:, 2:], self.bounds[2:]]), axis=0)
            self.bounds = np.concatenate([low, high])
        return bounds


def _covered(batch: pa.RecordBatch, shape: pa.Schema, seen: _Seen) -> pa.RecordBatch:
    shapes = shapely.from_wkb(batch.column(GEOMETRY).to_numpy(zero_copy_only=False))
    bounds = seen.add(shapes)
    gone = pa.array(np.isnan(bounds[:, 0]))
    edges = [pa.array(bounds[:, i]) for i in range(4)]
    boxes = pa.StructArray.from_arrays(edges, fields=list(_BOX), mask=gone)
    return pa.RecordBatch.from_arrays([*batch.columns, boxes], schema=shape)


def _geo(seen: _Seen, crs: str) -> dict[str, Any]:
    column: dict[str, Any] = {
        "encoding": "WKB",
        "geometry_types": sorted(seen.types),
        "covering": {"bbox": {name: [_BBOX, name] for name in _EDGES}},
    }
    if crs.upper() not in ("CRS84", CRS84):  # left out, the CRS is OGC:CRS84
        column["crs"] = crs_of(crs).to_json_dict()
    if not np.isnan(seen.bounds).any():
        column["bbox"] = seen.bounds.tolist()
    return {"version": "1.1.0", "primary_column": GEOMETRY, "columns": {GEOMETRY: column}}
