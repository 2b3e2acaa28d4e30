"""Reads a register in batches, only the declared columns: the others are never decoded or kept."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from catalog.errors import ProtocolError, QueryError

_ROWS = 1 << 18


def batches_of(register: Path | pa.Table, columns: Sequence[str]) -> Iterator[pa.Table]:
    """Yield tables that have `columns` alone. QueryError for one that is missing."""
    if isinstance(register, pa.Table):
        _demand(columns, register.column_names)
        yield register.select(list(columns))
    elif not register.is_file():
        raise QueryError("no such file", where=str(register))
    elif register.suffix.lower() == ".parquet":
        yield from _parquet(register, columns)
    else:
        yield from _csv(register, columns)


def _parquet(path: Path, columns: Sequence[str]) -> Iterator[pa.Table]:
    try:
        with pq.ParquetFile(path) as file:
            _demand(columns, file.schema_arrow.names)
            for batch in file.iter_batches(_ROWS, columns=list(columns)):
                yield pa.Table.from_batches([batch])
    except pa.ArrowInvalid as error:
        raise ProtocolError("the file is not Parquet", where=str(path)) from error


def _csv(path: Path, columns: Sequence[str]) -> Iterator[pa.Table]:
    """Codes stay texts (zeros in front count); the delimiter is that of the header line."""
    with path.open(encoding="utf-8-sig") as file:
        header = file.readline()
    delimiter = max(",;\t|", key=header.count)
    _demand(columns, next(csv.reader([header], delimiter=delimiter), []))
    convert = pacsv.ConvertOptions(
        include_columns=list(columns),
        column_types=dict.fromkeys(columns, pa.string()),
        strings_can_be_null=True,
    )
    try:
        with pacsv.open_csv(
            path, parse_options=pacsv.ParseOptions(delimiter=delimiter), convert_options=convert
        ) as reader:
            for batch in reader:
                yield pa.Table.from_batches([batch])
    except pa.ArrowInvalid:
        # Arrow's message repeats the line, which may hold a person's data.
        raise ProtocolError("the file is not a table with a header", where=str(path)) from None


def _demand(columns: Sequence[str], there: Sequence[str]) -> None:
    for name in columns:
        if name not in there:
            raise QueryError(f"there is no column {name!r}", where=name)
