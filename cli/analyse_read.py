"""Reads what `satudata analyse` is given: tables of files or datasets, GeoJSON, numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from catalog.errors import QueryError, RecordError
from cli.analyse_boundaries import reader_of
from cli.app import App

SCHEMES = click.Choice(["kemendagri", "bps"])
SOURCE = "DATASET|FILE"


def table_of(app: App, source: str, columns: list[str]) -> pa.Table:
    """Read a file or the current version of a dataset, the named columns alone."""
    wanted = list(dict.fromkeys(columns))
    if Path(source).is_file():
        table = read_table(Path(source))
        demand(wanted, table.column_names, source)
        return table.select(wanted)
    reader = reader_of(app, source)
    demand(wanted, reader.info.schema.names() if reader.info.schema else (), source)
    rows = [row for batch in reader.batches(wanted, geometry=False) for row in batch.rows]
    return pa.table({name: [row.get(name) for row in rows] for name in wanted})


def demand(columns: list[str], there: Any, where: str) -> None:
    """Raise QueryError for a column that is not there."""
    for name in columns:
        if name not in there:
            raise QueryError(f"there is no column {name!r}", where=where)


def read_table(path: Path) -> pa.Table:
    """Read CSV (also .csv.gz) or Parquet. Columns that begin like codes stay texts."""
    try:
        if path.suffix.lower() == ".parquet":
            return pq.read_table(path)
        with pa.input_stream(path, compression="detect") as stream:
            head = stream.read(1 << 16).decode("utf-8-sig", "replace").splitlines()[0]
        delimiter = max(",;\t|", key=head.count)
        names = [name.strip('"') for name in head.split(delimiter)]
        texts = {name: pa.string() for name in names if name.lower().startswith(("kode", "kd", "gudang"))}
        with pa.input_stream(path, compression="detect") as stream:
            return pacsv.read_csv(
                stream,
                parse_options=pacsv.ParseOptions(delimiter=delimiter),
                convert_options=pacsv.ConvertOptions(column_types=texts, strings_can_be_null=True),
            )
    except (pa.ArrowInvalid, IndexError):
        raise RecordError("not a readable CSV or Parquet file", where=path.name) from None


def geojson_file(path: Path) -> dict[str, Any]:
    """Read a GeoJSON file; RecordError when it is none."""
    try:
        value = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        raise RecordError("not a readable GeoJSON file", where=path.name) from None
    if not isinstance(value, dict):
        raise RecordError("not GeoJSON", where=path.name)
    return value


def numbers(text: str, count: int, where: str) -> list[float]:
    """Read numbers with commas between; QueryError unless there are `count`."""
    try:
        found = [float(part) for part in text.split(",")]
    except ValueError:
        found = []
    if len(found) != count:
        raise QueryError(f"{text!r}: {count} numbers with commas between", where=where)
    return found
