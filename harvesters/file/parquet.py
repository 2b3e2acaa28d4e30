"""GeoParquet and plain Parquet through pyarrow, row group by row group."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pyproj
import shapely

from catalog.errors import ProtocolError
from catalog.model import BBox, FieldDef, FieldType, ItemError, LayerSchema
from catalog.sources import LayerConfig
from harvesters.file.content import Ids, layer_options
from harvesters.file.crs import Bounds, FileCrs, decide
from harvesters.file.rows import Item
from harvesters.file.shape import bbox_of, known_id, mover, stored_type, value_of

_ROWS = 500


class ParquetReader:
    """Reads one (Geo)Parquet file. Geometry is WKB, as the GeoParquet standard's default."""

    def __init__(self, path: Path, layer: LayerConfig) -> None:
        self._path, self._layer = path, layer
        self._options = layer_options(layer)
        self.notes: dict[str, str] = {}

    @cached_property
    def _file(self) -> Any:
        try:
            return pq.ParquetFile(self._path)
        except (pa.ArrowException, OSError) as error:
            raise ProtocolError(
                f"the Parquet file is cut or broken: {error}", where=self._path.name
            ) from error

    @cached_property
    def _geo(self) -> tuple[str, dict[str, Any]] | None:
        """Name and metadata of the geometry column."""
        raw = (self._file.schema_arrow.metadata or {}).get(b"geo")
        if raw is None:
            return None
        try:
            geo = orjson.loads(raw)
            name = geo["primary_column"]
            column = geo["columns"][name]
        except (orjson.JSONDecodeError, KeyError, TypeError) as error:
            raise ProtocolError(f"unreadable GeoParquet metadata: {error}", where=self._path.name) from error
        if column.get("encoding", "WKB") != "WKB":
            raise ProtocolError(f"geometry encoding {column['encoding']!r}", where=self._path.name)
        return str(name), dict(column)

    @cached_property
    def _crs(self) -> FileCrs:
        column = self._geo[1] if self._geo else {}
        declared = column.get("crs", "OGC:CRS84")
        wkt = "" if declared is None else pyproj.CRS.from_user_input(declared).to_wkt()
        if "crs" not in column or _is_crs84(declared):
            wkt = "EPSG:4326"  # the same to us: x is longitude
        found = decide(wkt, self._layer.crs, self._bounds(), self._path.name)
        if found.note:
            self.notes["crs"] = found.note
        return found

    def _bounds(self) -> Bounds | None:
        stated = self._geo[1].get("bbox") if self._geo else None
        if not stated or len(stated) not in {4, 6}:
            return None
        half = len(stated) // 2
        return float(stated[0]), float(stated[1]), float(stated[half]), float(stated[half + 1])

    def schema(self) -> LayerSchema:
        """Return the shape of the file."""
        geometry = self._geo[0] if self._geo else None
        others = {"bbox"} if geometry else set()
        fields = tuple(
            FieldDef(f.name, _field_type(f.type))
            for f in self._file.schema_arrow
            if f.name != geometry and f.name not in others and self._wanted(f.name)
        )
        if len(fields) > self._options.max_columns:
            raise ProtocolError(
                f"{len(fields)} columns; {self._options.max_columns} can be kept", where=self._path.name
            )
        names = {f.name for f in fields}
        known_id(self._layer.feature_id, names, self._path.name)
        types = (
            sorted({t.removesuffix(" Z") for t in (self._geo[1].get("geometry_types") or ())})
            if self._geo
            else []
        )
        code = self._layer.region_code
        return LayerSchema(
            fields=fields,
            geometry_type=stored_type(types) if geometry else None,
            crs=self._crs.code,
            time_field=self._layer.time.field,
            region_code=code if code and code.field in names else None,
        )

    def _wanted(self, name: str) -> bool:
        return not self._options.columns or name in self._options.columns

    def count(self) -> int:
        """Return the number of rows the footer states."""
        return int(self._file.metadata.num_rows)

    def bbox(self) -> BBox | None:
        """Return the extent of the metadata in degrees."""
        return bbox_of(self._bounds(), self._crs.source or self._crs.code)

    def items(self) -> Iterator[Item | ItemError]:
        """Stream the rows."""
        schema = self.schema()
        geometry = self._geo[0] if self._geo else None
        ids = Ids(self._layer.feature_id, self._options.ids)
        move = mover(self._crs, self._options.swap_xy)
        columns = [f.name for f in schema.fields] + ([geometry] if geometry else [])
        number = 0
        try:
            for batch in self._file.iter_batches(batch_size=_ROWS, columns=columns):
                for row in batch.to_pylist():
                    number += 1
                    yield _item(row, number, schema, geometry, ids, move)
        except (pa.ArrowException, OSError) as error:
            raise ProtocolError(
                f"the Parquet file is cut or broken: {error}", where=self._path.name
            ) from error


def _item(
    row: dict[str, Any], number: int, schema: LayerSchema, geometry: str | None, ids: Ids, move: Any
) -> Item | ItemError:
    wkb = row.pop(geometry, None) if geometry else None
    values = {f.name: value_of(row[f.name], f.type) for f in schema.fields}
    found = ids.of(values, number)
    if isinstance(found, ItemError):
        return found
    try:
        shape = shapely.from_wkb(wkb) if wkb is not None else None
    except shapely.errors.ShapelyError as error:
        return ItemError("geometry-unreadable", str(error), found)
    return Item(found, values, move(shape) if move is not None and shape is not None else shape)


def _is_crs84(declared: Any) -> bool:
    identity = (declared.get("id") or {}) if isinstance(declared, dict) else {}
    return identity.get("code") in {"CRS84", 4326}


def _field_type(kind: Any) -> FieldType:
    if pa.types.is_boolean(kind):
        return FieldType.BOOLEAN
    if pa.types.is_integer(kind):
        return FieldType.INTEGER
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return FieldType.REAL
    if pa.types.is_date(kind):
        return FieldType.DATE
    return FieldType.DATETIME if pa.types.is_timestamp(kind) else FieldType.TEXT
