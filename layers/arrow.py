"""A stored version as a stream of Arrow record batches: the form that files are written from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import shapely

from catalog.model import FieldType, LayerSchema
from layers.columns import column_names
from layers.contract import FeatureBatch

ID = "id"
GEOMETRY = "geometry"
TYPES: dict[FieldType, pa.DataType] = {
    FieldType.TEXT: pa.string(),
    FieldType.INTEGER: pa.int64(),
    FieldType.REAL: pa.float64(),
    FieldType.BOOLEAN: pa.bool_(),
    FieldType.DATE: pa.date32(),
    FieldType.DATETIME: pa.timestamp("ms", tz="UTC"),
}


def names_of(schema: LayerSchema) -> dict[str, str]:
    """Return attribute name -> column name; `id` and `geometry` are the feature's own."""
    return column_names(schema, reserved=(ID, GEOMETRY, "fid"))


def arrow_schema(schema: LayerSchema) -> pa.Schema:
    """Return the columns: `id`, the attributes in their order, and WKB `geometry` unless a table."""
    names = names_of(schema)
    fields = [pa.field(ID, pa.string(), nullable=False)]
    fields += [pa.field(names[one.name], TYPES[one.type]) for one in schema.fields]
    if schema.geometry_type is not None:
        fields.append(pa.field(GEOMETRY, pa.binary()))
    return pa.schema(fields)


def record_batches(schema: LayerSchema, batches: Iterable[FeatureBatch]) -> Iterator[pa.RecordBatch]:
    """Yield Arrow batches of feature batches; geometry as ISO WKB, x before y."""
    target = arrow_schema(schema)
    for batch in batches:
        columns: list[pa.Array] = [pa.array(batch.ids, pa.string())]
        for one in schema.fields:
            columns.append(pa.array([row.get(one.name) for row in batch.rows], TYPES[one.type]))
        if schema.geometry_type is not None:
            columns.append(wkb(batch.geometries if batch.geometries is not None else [None] * len(batch)))
        yield pa.RecordBatch.from_arrays(columns, schema=target)


def wkb(geometries: Sequence[Any] | np.ndarray[Any, Any]) -> pa.Array:
    """Return little-endian ISO WKB of shapely geometries, null for None."""
    return pa.array(shapely.to_wkb(np.asarray(geometries, dtype=object), byte_order=1), pa.binary())
