"""rekonsiliasi (U2, U3): two tables by region code and its year; every row gets a class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from analysis.places import places_of_codes
from analysis.reconcile import Compared, Side, reconcile
from analysis.result import Result
from catalog.model import Scheme
from ogc_server.processes.definition import ROW, ROWS, Process, object_of
from ogc_server.processes.desk import Bench
from ogc_server.processes.inputs import MAX_ROWS, Inputs, Row, Year
from ogc_server.processes.rows import table_of


class Nilai(BaseModel):
    """A column of A and its counterpart in B, and how far apart they may be."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)
    a: str
    b: str | None = None
    toleransi: float = Field(default=0, ge=0)
    toleransi_relatif: float = Field(default=0, ge=0)


class Kunci(BaseModel):
    """The column of the region code on each side."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)
    a: str
    b: str


class Rekonsiliasi(Inputs):
    """Two tables: collections of this server, or rows."""

    a: str | Annotated[list[Row], Field(min_length=1, max_length=MAX_ROWS)]
    b: str | Annotated[list[Row], Field(min_length=1, max_length=MAX_ROWS)]
    kunci: str | Kunci
    nilai: list[str | Nilai] = Field(default_factory=list, max_length=50)
    nama: str | Kunci | None = None
    vintage_a: Year | None = None
    vintage_b: Year | None = None
    skema_a: Scheme | None = None
    skema_b: Scheme | None = None
    semua: bool = False


def rekonsiliasi(bench: Bench, inputs: Rekonsiliasi) -> dict[str, Any]:
    """Return how many rows are of which class, and the rows (without those that agree, unless asked)."""
    compared = [_compared(one) for one in inputs.nilai]
    left = _side(bench, inputs, "a", [one.a for one in compared])
    right = _side(bench, inputs, "b", [one.b for one in compared])
    from_, to = (left.scheme, left.vintage), (right.scheme, right.vintage)
    moves = list(bench.desk.catalog.regions.pairs(from_=from_, to=to)) if from_ != to else []
    found = reconcile(left, right, compared, moves=moves)
    table = found.table()
    if not inputs.semua:
        table = table.filter(pa.array([row.verdict != "cocok" for row in found.rows], pa.bool_()))
    counts = {verdict.value: count for verdict, count in sorted(found.counts.items())}
    return {"jumlah": counts, "baris": table.to_pylist(), "perpindahan_dikenal": len(moves)}


def _side(bench: Bench, inputs: Rekonsiliasi, letter: str, values: Sequence[str]) -> Side:
    source = getattr(inputs, letter)
    key, name = _of(inputs.kunci, letter), _of(inputs.nama, letter)
    columns = list(dict.fromkeys([str(key), *values, *([name] if name else [])]))
    if isinstance(source, str):
        table, declared = bench.desk.table(bench.snapshot, source, columns, letter)
    else:
        table, declared = table_of(source, columns, letter), None
    scheme: Scheme = getattr(inputs, f"skema_{letter}") or (declared.scheme if declared else "kemendagri")
    vintage = getattr(inputs, f"vintage_{letter}") or (declared.vintage if declared else None) or 0
    return Side(table, str(key), scheme, vintage, name)


def _of(chosen: str | Kunci | None, letter: str) -> str | None:
    return chosen if chosen is None or isinstance(chosen, str) else str(getattr(chosen, letter))


def _compared(one: str | Nilai) -> Compared:
    if isinstance(one, str):
        return Compared(one, one)
    return Compared(one.a, one.b or one.a, one.toleransi, one.toleransi_relatif)


def _show(bench: Bench, value: Any, inputs: Rekonsiliasi | None) -> Result:
    rows = value["baris"]
    with bench.desk.desa(bench.snapshot, "area") as index:
        places = places_of_codes(index, [row["kode_b"] or row["kode_a"] for row in rows])
    return Result(value, rows, places)


PROCESS = Process(
    "rekonsiliasi", Rekonsiliasi, rekonsiliasi, object_of(jumlah=ROW, baris=ROWS), _show,
    {
        "a": '[{"kode": "32.03.01.2001", "nilai": 10}]',
        "b": '[{"kode": "32.03.01.2001", "nilai": 12}]',
        "kunci": "kode",
        "nilai": '["nilai"]',
    },
)  # fmt: skip
