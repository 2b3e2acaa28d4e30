"""One answer in the forms that people take away: JSON, GeoJSON, CSV, GeoParquet.

Every door (Python, `satudata analyse`, OGC API - Processes) writes through here, so that one question
has the same columns everywhere. JSON holds the whole answer, the other forms its table of rows.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import shapely

from catalog.errors import QueryError
from layers.arrow import GEOMETRY, wkb
from layers.contract import Geometries
from layers.crs import CRS84
from layers.geoparquet import write_geoparquet
from layers.spreadsheet import cell

MEDIA = {
    "json": "application/json",
    "geojson": "application/geo+json",
    "csv": "text/csv",
    "parquet": "application/vnd.apache.parquet",
}
"""Form -> media type; the form is also the file's suffix."""
_OPTIONS = orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY
_DIGITS = 7


@dataclass(frozen=True, slots=True)
class Result:
    """`value` is the whole answer; `rows` its table; `geometries` one per row in lon/lat (or None).

    `geometries` None: the answer has no place, and GeoJSON features of it have a null geometry.
    """

    value: Any
    rows: Sequence[Mapping[str, Any]]
    geometries: Geometries | None = None


def table_result(
    table: pa.Table | Sequence[Mapping[str, Any]], geometries: Geometries | None = None
) -> Result:
    """Return the result of a table that is the whole answer."""
    rows = table.to_pylist() if isinstance(table, pa.Table) else list(table)
    return Result(rows, rows, geometries)


def flat(rows: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[dict[str, Any]]]:
    """Return the columns, and the rows with single values only.

    An object becomes columns of its own (`stok` -> `stok_beras`); a list, or an object in an object, JSON.
    """
    made = [dict(_single(row)) for row in rows]
    return list(dict.fromkeys(name for row in made for name in row)), made


def _single(row: Mapping[str, Any]) -> list[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = []
    for name, value in row.items():
        if isinstance(value, Mapping):
            pairs += [(f"{name}_{key}", _text(one)) for key, one in value.items()]
        else:
            pairs.append((name, _text(value)))
    return pairs


def _text(value: Any) -> Any:
    if isinstance(value, Mapping | list | tuple):
        return orjson.dumps(value, option=_OPTIONS).decode()
    return value


def encode(result: Result, form: str) -> bytes:
    """Return a result as `json`, `geojson`, `csv` or `parquet`."""
    return {"json": _json, "geojson": _geojson, "csv": _csv, "parquet": _parquet}[form](result)


def form_of(path: Path) -> str:
    """Return the form that a file's name asks for; QueryError when there is none."""
    form = path.suffix.lower().removeprefix(".")
    if form not in MEDIA:
        raise QueryError(f"{path.name}: one of {', '.join(f'.{one}' for one in MEDIA)}", where="out")
    return form


def write(result: Result, path: Path) -> None:
    """Write a result in the form of the file's name, whole or not at all."""
    scratch = path.with_name(f".{path.name}.part")
    try:
        scratch.write_bytes(encode(result, form_of(path)))
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)


def _json(result: Result) -> bytes:
    return orjson.dumps(result.value, option=_OPTIONS | orjson.OPT_INDENT_2)


def _geojson(result: Result) -> bytes:
    shapes = np.full(len(result.rows), None, object) if result.geometries is None else result.geometries
    texts = shapely.to_geojson(shapely.transform(shapes, lambda xy: np.round(xy, _DIGITS)))
    features = [
        b'{"type":"Feature","geometry":%s,"properties":%s}'
        % (b"null" if text is None else text.encode(), orjson.dumps(dict(row), option=_OPTIONS))
        for row, text in zip(result.rows, texts, strict=True)
    ]
    return b'{"type":"FeatureCollection","features":[' + b",\n".join(features) + b"]}"


def _csv(result: Result) -> bytes:
    columns, rows = flat(result.rows)
    target = io.StringIO()
    writer = csv.writer(target)
    writer.writerow([cell(name) for name in columns])
    writer.writerows([cell(row.get(name)) for name in columns] for row in rows)
    return target.getvalue().encode()


def _parquet(result: Result) -> bytes:
    table = arrow_table(result)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "hasil.parquet"
        write_geoparquet(path, table.schema, table.to_batches(), CRS84)
        return path.read_bytes()


def arrow_table(result: Result) -> pa.Table:
    """Return the rows as Arrow with typed columns, and `geometry` (WKB, lon/lat) where there is one."""
    columns, rows = flat(result.rows)
    made = {name: _column([row.get(name) for row in rows]) for name in columns if name != GEOMETRY}
    if result.geometries is not None:
        made[GEOMETRY] = wkb(result.geometries)
    return pa.table(made)


def _column(cells: list[Any]) -> pa.Array:
    try:
        found = pa.array(cells)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):  # mixed: as texts
        return pa.array([None if one is None else str(one) for one in cells], pa.string())
    return found.cast(pa.string()) if pa.types.is_null(found.type) else found
