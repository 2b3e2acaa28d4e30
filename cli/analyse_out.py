"""Shows what `satudata analyse` found, or writes it to a file."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from cli.app import App

SHOWN = (
    "kode", "nama", "tingkat", "kelas", "bagian", "luas_m2", "desa", "tanpa_data", "mmi", "sigma",
    "asal", "urutan", "jarak_m", "jarak", "id", "jenis", "status",
)  # fmt: skip
"""What fits on a screen; files and --json hold all."""


def give_rows(app: App, rows: list[dict[str, Any]], out: Path | None) -> None:
    """Show rows, or write them as CSV or JSON; cells of CSV that hold objects are JSON."""
    plain = [{k: v for k, v in row.items() if not isinstance(v, dict)} for row in rows]
    columns = list(dict.fromkeys(name for row in plain for name in row))
    if out is None:
        app.show(rows, [name for name in SHOWN if name in columns])
    elif out.suffix.lower() == ".csv":
        with out.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(plain)
    else:
        out.write_bytes(orjson.dumps(rows, option=orjson.OPT_INDENT_2))
    if out is not None:
        app.say("cli.analyse.written", rows=len(rows), out=out)


def give_table(app: App, table: pa.Table, columns: Any, out: Path | None) -> None:
    """Show a table, or write it as CSV, Parquet or (any other name) JSON."""
    if out is None:
        app.show(table.to_pylist(), columns)
        return
    if out.suffix.lower() == ".parquet":
        pq.write_table(table, out)
    elif out.suffix.lower() == ".csv":
        pacsv.write_csv(table, out)
    else:
        out.write_bytes(orjson.dumps(table.to_pylist(), option=orjson.OPT_INDENT_2))
    app.say("cli.analyse.written", rows=len(table), out=out)
