"""alokasi-bantuan (U7): who sends how much of what to which desa, and what stays unmet."""

from __future__ import annotations

from collections import Counter
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from analysis.allocate import allocate
from analysis.allocate_tables import costs_of, needs_of, placed_plan, plan_places, plan_table, stocks_of
from analysis.lookup import DesaIndex
from analysis.nearest import origins_of_codes
from analysis.result import Result
from catalog.errors import NotFoundError, RecordError
from ogc_server.errors import ParameterError
from ogc_server.processes.definition import ROWS, Process, object_of
from ogc_server.processes.desk import Bench
from ogc_server.processes.inputs import MAX_ROWS, Inputs

MAX_PAIRS = 5_000_000


class Kebutuhan(BaseModel):
    """How much of what a desa needs; without lon/lat a point inside of the desa is taken."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)
    kode: str = Field(min_length=1)
    item: str = Field(min_length=1)
    jumlah: int = Field(ge=0, lt=2**31)
    lon: float | None = Field(default=None, ge=-180, le=180)
    lat: float | None = Field(default=None, ge=-90, le=90)
    bobot: float = Field(default=1, gt=0, lt=1e9)


class Stok(BaseModel):
    """How much of what a warehouse has."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)
    gudang: str = Field(min_length=1)
    item: str = Field(min_length=1)
    jumlah: int = Field(ge=0, lt=2**31)
    lon: float | None = Field(default=None, ge=-180, le=180)
    lat: float | None = Field(default=None, ge=-90, le=90)
    status: str = "dirilis"


class Biaya(BaseModel):
    """What a unit costs from a warehouse to a desa, in any unit (minutes, rupiah)."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)
    gudang: str
    kode: str
    biaya: float = Field(ge=0, lt=1e15)


class AlokasiBantuan(Inputs):
    """Needs, stocks and the aim."""

    kebutuhan: list[Kebutuhan] = Field(min_length=1, max_length=50_000)
    stok: list[Stok] = Field(min_length=1, max_length=50_000)
    tujuan_fungsi: Literal["adil", "jarak"] = "adil"
    biaya: list[Biaya] | None = Field(default=None, max_length=MAX_ROWS)
    maks_biaya: float | None = Field(default=None, ge=0)

    def check(self) -> None:
        """Refuse what would not fit in memory: warehouses times desa, summed over the items."""
        stocks = Counter(one.item for one in self.stok)
        if sum(stocks[one.item] for one in self.kebutuhan) > MAX_PAIRS:
            raise ParameterError("process.input.large", "inputs.kebutuhan", most=MAX_PAIRS)


def alokasi_bantuan(bench: Bench, inputs: AlokasiBantuan) -> dict[str, Any]:
    """Return who sends what to whom, what stays unmet and why, and the sums of each item."""
    needs = [one.model_dump() for one in inputs.kebutuhan]
    if inputs.biaya is None and any(one.lon is None or one.lat is None for one in inputs.kebutuhan):
        with bench.desk.desa(bench.snapshot, "area") as index:
            needs = [_placed(index, one, number) for number, one in enumerate(inputs.kebutuhan)]
    stocks, wanted = stocks_of([one.model_dump() for one in inputs.stok]), needs_of(needs)
    plan = allocate(
        stocks,
        wanted,
        costs=None if inputs.biaya is None else costs_of([one.model_dump() for one in inputs.biaya]),
        max_cost=inputs.maks_biaya,
        fair=inputs.tujuan_fungsi == "adil",
        progress=bench.report,
    )
    rows = placed_plan(plan_table(plan).to_pylist(), stocks, wanted)
    return {
        "kiriman": [{k: v for k, v in row.items() if k != "alasan"} for row in rows if row["gudang"]],
        "tidak_terpenuhi": [
            {k: row[k] for k in ("item", "kode", "jumlah", "alasan", "lon", "lat")}
            for row in rows
            if not row["gudang"]
        ],
        "ringkasan": [
            {
                "item": one.item, "stok": one.stock, "dirilis": one.released, "kebutuhan": one.needed,
                "terlayani": one.served, "bagian_terkecil": one.least_share, "biaya": one.cost,
            }
            for one in plan.items
        ],
        "satuan_biaya": "meter geodesik" if inputs.biaya is None else "seperti `biaya`",
    }  # fmt: skip


def _placed(index: DesaIndex, need: Kebutuhan, number: int) -> dict[str, Any]:
    if need.lon is not None and need.lat is not None:
        return need.model_dump()
    try:
        origin = origins_of_codes(index, [need.kode])[0]
    except (RecordError, NotFoundError):
        where = f"inputs.kebutuhan.{number}.kode"
        raise ParameterError("process.input.no-desa", where) from None
    return need.model_dump() | {"lon": origin.lon, "lat": origin.lat}


def _show(bench: Bench, value: Any, inputs: AlokasiBantuan | None) -> Result:
    rows = [*value["kiriman"], *value["tidak_terpenuhi"]]
    return Result(value, rows, plan_places(rows))


PROCESS = Process(
    "alokasi-bantuan", AlokasiBantuan, alokasi_bantuan,
    object_of(kiriman=ROWS, tidak_terpenuhi=ROWS, ringkasan=ROWS), _show,
    {
        "kebutuhan": '[{"kode": "32.03.01.2001", "item": "beras", "jumlah": 10, "lon": 107.2, "lat": -6.9}]',
        "stok": '[{"gudang": "A", "item": "beras", "jumlah": 8, "lon": 107.1, "lat": -6.8}]',
    },
    {
        "kebutuhan": "kode;item;jumlah\n99.01.01.1001;beras;10\n99.01.01.2002;beras;6",
        "stok": "gudang;item;jumlah;lon;lat\nGudang A;beras;8;108.30;-8.90\nGudang B;beras;5;108.25;-8.95",
    },
)  # fmt: skip
