"""Register files in CSV: read in blocks, only the declared columns; broken lines counted, never shown."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
from pyarrow import csv

from catalog.errors import QueryError, RecordError

_BLOCK_BYTES = 16 * 2**20


class CsvBlocks:
    """Blocks of a CSV file (UTF-8, header line, comma or semicolon); all cells are text."""

    def __init__(self, path: Path, names: list[str]) -> None:
        """Take the columns to read; QueryError names one that the header lacks."""
        self._path, self._names = path, names
        self.unreadable = 0
        try:
            with path.open(encoding="utf-8-sig") as file:
                header = file.readline()
        except (OSError, UnicodeDecodeError):
            raise RecordError("not a readable CSV file in UTF-8", where=path.name) from None
        self._delimiter = ";" if header.count(";") > header.count(",") else ","
        there = [cell.strip().strip('"') for cell in header.strip().split(self._delimiter)]
        for name in names:
            if name not in there:
                raise QueryError(f"there is no column {name!r}", where=name)

    def read(self) -> Iterator[tuple[int, int, pa.RecordBatch]]:
        """Yield (number of the block, rows before it, rows). The same file gives the same blocks."""
        before = 0
        try:
            with self._open() as reader:
                for number, batch in enumerate(reader):
                    yield number, before, batch
                    before += batch.num_rows
        except pa.ArrowException as error:  # its text would quote the line
            detail = f"unreadable after row {before} ({type(error).__name__})"
            raise RecordError(detail, where=self._path.name) from None

    def _open(self) -> csv.CSVStreamingReader:
        return csv.open_csv(
            self._path,
            read_options=csv.ReadOptions(block_size=_BLOCK_BYTES),
            parse_options=csv.ParseOptions(
                delimiter=self._delimiter, newlines_in_values=True, invalid_row_handler=self._skip
            ),
            convert_options=csv.ConvertOptions(
                include_columns=self._names,
                column_types=dict.fromkeys(self._names, pa.string()),
                strings_can_be_null=True,
                null_values=[""],
            ),
        )

    def _skip(self, _row: csv.InvalidRow) -> str:
        self.unreadable += 1
        return "skip"


class CsvOut:
    """Writes batches as CSV."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        fields = [f.with_type(pa.string()) if pa.types.is_dictionary(f.type) else f for f in schema]
        self._schema = pa.schema(fields)
        self._out = csv.CSVWriter(path, self._schema)

    def write_batch(self, batch: pa.RecordBatch) -> None:
        """Append rows."""
        self._out.write_batch(batch.cast(self._schema))

    def close(self) -> None:
        """Finish the file."""
        self._out.close()
