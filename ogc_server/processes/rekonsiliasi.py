"""rekonsiliasi (U2, U3): two tables by region code and its year; every row gets a class.

With `daftar` it tells how a stored reconciliation of two public collections stands. Nothing is decided
here: HTTP knows no stewards.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from analysis.places import places_of_codes
from analysis.reconcile import Compared, Side, reconcile, with_moves_by_name
from analysis.result import Result
from catalog.errors import NotFoundError
from catalog.model import Scheme
from ogc_server.errors import ParameterError
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
    """Two tables, collections of this server or rows; or a stored reconciliation."""

    a: str | Annotated[list[Row], Field(min_length=1, max_length=MAX_ROWS)] | None = None
    b: str | Annotated[list[Row], Field(min_length=1, max_length=MAX_ROWS)] | None = None
    kunci: str | Kunci | None = None
    nilai: list[str | Nilai] = Field(default_factory=list, max_length=50)
    nama: str | Kunci | None = None
    kecamatan: str | Kunci | None = None
    vintage_a: Year | None = None
    vintage_b: Year | None = None
    skema_a: Scheme | None = None
    skema_b: Scheme | None = None
    semua: bool = False
    daftar: str | None = Field(default=None, min_length=1, max_length=63)

    def check(self) -> None:
        """Demand two tables and their key, or a stored reconciliation alone."""
        if self.daftar is None:
            for name in ("a", "b", "kunci"):
                if getattr(self, name) is None:
                    raise ParameterError("process.input.missing", f"inputs.{name}")
        elif len(self.model_fields_set) > 1:
            raise ParameterError("process.input.one", "inputs.daftar", names="daftar, a + b + kunci")


def rekonsiliasi(bench: Bench, inputs: Rekonsiliasi) -> dict[str, Any]:
    """Return how many rows are of which class, and the rows (without those that agree, unless asked)."""
    if inputs.daftar is not None:
        return _stored(bench, inputs.daftar)
    compared = [_compared(one) for one in inputs.nilai]
    left = _side(bench, inputs, "a", [one.a for one in compared])
    right = _side(bench, inputs, "b", [one.b for one in compared])
    from_, to = (left.scheme, left.vintage), (right.scheme, right.vintage)
    crosswalk = bench.desk.catalog.regions.pairs(from_=from_, to=to) if from_ != to else ()
    moves = with_moves_by_name(left, right, crosswalk)
    found = reconcile(left, right, compared, moves=moves)
    table = found.table()
    if not inputs.semua:
        table = table.filter(pa.array([row.verdict != "cocok" for row in found.rows], pa.bool_()))
    counts = {verdict.value: count for verdict, count in sorted(found.counts.items())}
    return {
        "jumlah": counts,
        "baris": table.to_pylist(),
        "perpindahan_dikenal": sum(row.from_code != row.to_code for row in moves),
    }


def _stored(bench: Bench, id_: str) -> dict[str, Any]:
    """Return how a stored reconciliation stood at its last run; counts only, of public collections only."""
    books, missing = bench.desk.catalog, ParameterError("process.input.no-list", "inputs.daftar")
    try:
        entry = books.reconciliations.get(id_)
        for side in (entry.definition.a, entry.definition.b):
            bench.snapshot.layer(side.dataset or "", None)
    except NotFoundError:
        raise missing from None
    last = next(iter(books.reconciliations.runs(id_, limit=1)), None)
    sides = {"a": entry.definition.a.dataset, "b": entry.definition.b.dataset}
    if last is None or any(last.versions[letter].get("dataset") != name for letter, name in sides.items()):
        raise missing
    now = books.reconciliations.states(id_)
    return {
        "jumlah": last.counts, "baris": [],
        "daftar": {
            "id": id_, "a": last.versions["a"], "b": last.versions["b"], "waktu": last.at.isoformat(),
            "terbuka": now["open"], "diputuskan": now["decided"],
        },
    }  # fmt: skip


def _side(bench: Bench, inputs: Rekonsiliasi, letter: str, values: Sequence[str]) -> Side:
    source = getattr(inputs, letter)
    key, name, above = (_of(one, letter) for one in (inputs.kunci, inputs.nama, inputs.kecamatan))
    columns = list(dict.fromkeys([str(key), *values, *filter(None, (name, above))]))
    if isinstance(source, str):
        table, declared = bench.desk.table(bench.snapshot, source, columns, letter)
    else:
        table, declared = table_of(source, columns, letter), None
    scheme: Scheme = getattr(inputs, f"skema_{letter}") or (declared.scheme if declared else "kemendagri")
    vintage = getattr(inputs, f"vintage_{letter}") or (declared.vintage if declared else None) or 0
    return Side(table, str(key), scheme, vintage, name, above)


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
    {
        "a": "kode;jiwa\n99.01.01.1001;10\n99.01.01.2002;7",
        "b": "kode;jiwa\n99.01.01.1001;12\n99.01.01.2003;9",
        "kunci": "kode", "nilai": "jiwa",
    },
    {
        "tabel": ("a", "b", "kunci", "nilai", "vintage_a", "vintage_b", "skema_a", "skema_b"),
        "simpanan": ("daftar",),
    },
)  # fmt: skip
