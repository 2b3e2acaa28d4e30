"""agregasi (U1): counts and shares per region, always with disclosure control."""

from __future__ import annotations

from typing import Annotated, Any

import pyarrow as pa
from pydantic import Field

from analysis.aggregate import Question, aggregate
from analysis.cells import outlines
from analysis.disclosure import Disclosure
from analysis.lookup import DesaIndex
from analysis.places import places_of_codes
from analysis.result import Result
from catalog.codes import LEVELS, Level
from catalog.model import Scheme
from ogc_server.errors import ParameterError
from ogc_server.processes.definition import ROWS, Process, object_of
from ogc_server.processes.desk import Bench
from ogc_server.processes.inputs import MAX_ROWS, Inputs, Row
from ogc_server.processes.rows import table_of


class Agregasi(Inputs):
    """Rows of a register extract (only the declared columns are read) or a public collection."""

    data: str | Annotated[list[Row], Field(min_length=1, max_length=MAX_ROWS)]
    kode: str = "kode"
    lon: str | None = Field(default=None, min_length=1)
    lat: str | None = Field(default=None, min_length=1)
    h3: list[int] = Field(default_factory=list, max_length=5)
    menurut: list[str] = Field(default_factory=list, max_length=3)
    irisan: str | None = None
    bobot: str | None = None
    skema: Scheme = "kemendagri"
    tingkat: list[Level] = Field(default_factory=lambda: list(LEVELS), min_length=1)
    ambang: int = Field(default=5, ge=5, le=1000)
    pembulatan: int = Field(default=1, ge=1, le=1000)


def agregasi(bench: Bench, inputs: Agregasi) -> dict[str, Any]:
    """Return counts per region, always with disclosure control: what leaves here is public."""
    question = _question(inputs)
    if isinstance(inputs.data, str):
        table, _ = bench.desk.table(bench.snapshot, inputs.data, question.columns(), "data")
    else:
        table = table_of(inputs.data, question.columns(), "data")
    numbers = {inputs.bobot, inputs.lon, inputs.lat}
    texts = [name for name in question.columns() if name not in numbers]
    for name in texts:
        place = table.column_names.index(name)
        cells = [None if v is None else str(v) for v in table[name].to_pylist()]
        table = table.set_column(place, name, pa.array(cells, pa.string()))
    rules = Disclosure(inputs.ambang, rounding=inputs.pembulatan)
    found = aggregate(
        table,
        question,
        access="publik",
        disclosure=rules,
        progress=lambda rows: bench.report(rows, len(table)),
        index=_index(bench) if inputs.lon and not inputs.h3 else None,
    )
    return {
        "baris": found.table.to_pylist(), "dibaca": found.rows, "tanpa_wilayah": found.without_region,
        "ditekan": found.suppressed, "ambang": inputs.ambang, "pembulatan": inputs.pembulatan,
    }  # fmt: skip


def _question(inputs: Agregasi) -> Question:
    by_place = inputs.lon is not None or inputs.lat is not None or bool(inputs.h3)
    if by_place and "kode" in inputs.model_fields_set:
        raise ParameterError("process.input.one", "inputs.kode", names="kode, lon + lat")
    return Question(
        "" if by_place else inputs.kode, tuple(inputs.menurut), inputs.irisan, inputs.bobot, inputs.skema,
        tuple(inputs.tingkat), inputs.lon, inputs.lat, tuple(inputs.h3),
    )  # fmt: skip


def _index(bench: Bench) -> DesaIndex:
    with bench.desk.desa(bench.snapshot, "point") as index:
        return index


def _show(bench: Bench, value: Any, inputs: Agregasi | None) -> Result:
    codes = [row["kode"] for row in value["baris"]]
    if any(row["tingkat"].startswith("h3-") for row in value["baris"]):
        return Result(value, value["baris"], outlines(codes))
    with bench.desk.desa(bench.snapshot, "area") as index:
        places = places_of_codes(index, codes)
    return Result(value, value["baris"], places)


PROCESS = Process(
    "agregasi", Agregasi, agregasi, object_of(baris=ROWS, dibaca={"type": "integer"}), _show,
    {"data": '[{"kode": "32.03.01.2001", "program": "PKH"}]', "menurut": '["program"]'},
    {
        "data": "kode;program;keluarga\n" + "99.01.01.1001;PKH;2\n99.01.01.2002;PKH;3\n" * 6,
        "menurut": "program", "bobot": "keluarga",
    },
)  # fmt: skip
